"""A game that is a stranger's code: whoever plays it asks it whom it reaches. Runs in the pod, with no library.

A line `HOST PORT` is answered by `open` or `closed`, for TCP. It ends when it is asked to.
"""

import signal
import socket
import socketserver
import sys

TRY_S = 20.0  # what is closed is refused at once


class Asked(socketserver.StreamRequestHandler):
    """One player."""

    def handle(self) -> None:
        """Answer each line."""
        for line in self.rfile:
            host, port = line.decode().split()
            try:
                socket.create_connection((host, int(port)), TRY_S).close()
                self.wfile.write(b"open\n")
            except OSError:
                self.wfile.write(b"closed\n")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Asked).serve_forever()
