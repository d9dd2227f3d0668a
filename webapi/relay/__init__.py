"""The relay: a player's WebSocket to webapi, passed on to a port of the match's server. docs/edge.md.

`choice` says to which port, `frames` and `handshake` what the bytes mean, `pace` how many may pass: all PURE. `splice`
joins two WebSockets, `carry` a WebSocket and a TCP port, and `relay` bounds how many there are and ends them.
"""
