"""Games, as sources of programs, that do what they are there for when they are told to, and not after a while.

`SOURCE` checks what its SDK tells a server that was there before its match. It says Ready, watches until it is
Allocated, and exits with 0 where match, roster and settings came with that, and its environment named no match; with 9
otherwise. `IN_PLAY` and `NUDGED` are beginnings: what follows them happens in the match, or when tests/duel.py says so.
"""

from __future__ import annotations

from typing import Final

SOURCE: Final = """
import json, os, sys, urllib.request as u
at = 'http://127.0.0.1:' + os.environ['AGONES_SDK_HTTP_PORT']
u.urlopen(u.Request(at + '/ready', b'{}', {'Content-Type': 'application/json'}))
for line in u.urlopen(at + '/watch/gameserver'):
    told = json.loads(line)['result']
    if told['status']['state'] == 'Allocated':
        break
meta = told['object_meta']
roster = json.loads(meta['annotations']['muster.dev/roster'])
settings = json.loads(meta['annotations']['muster.dev/settings'])
good = meta['labels']['muster.dev/match'].startswith('m-') and len(roster) == 2 and 'timers' in settings
sys.exit(0 if good and 'MUSTER_MATCH' not in os.environ else 9)
"""
# The match runs, in Redis too, and so whatever ends the game ends it in the middle of its match.
IN_PLAY: Final = """
import json, os, time, urllib.request as u
at = 'http://127.0.0.1:' + os.environ['AGONES_SDK_HTTP_PORT']
while json.load(u.urlopen(at + '/gameserver'))['status']['state'] != 'Allocated': time.sleep(0.1)
"""
# Somebody said a word on the TCP port that is its argument; whoever did hears of its end.
NUDGED: Final = """
import socket, sys
door = socket.create_server(('', int(sys.argv[1])))
while True:
    player, _ = door.accept()
    if player.recv(1): break
"""
