"""A game, as the source of a program, that checks what its SDK tells a server that was there before its match.

It says Ready, watches until it is Allocated, and exits with 0 where match, roster and settings came with that, and its
environment named no match; with 9 otherwise.
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
