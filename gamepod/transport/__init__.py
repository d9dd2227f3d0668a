"""How players reach the arena: one JSON protocol over UDP, TCP and WebSocket, tied to sessions by one
gateway.

udp.py  tcp.py  websocket.py (through http.py)      bytes in, bytes out, bounds
                gateway.py                          who is who: joins, rates, time-outs, snapshots
protocol.py  encoding.py  cookies.py  limits.py     pure: messages, packing, proofs, numbers
"""
