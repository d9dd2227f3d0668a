"""The sidecar that a game's process talks to: Agones' interface on a life of Muster's.

state metadata tallies interactions   PURE: what may follow what, what a game may keep, count and tell
document fields answers               PURE: the server as a game sees it; the forms of requests and refusals
server changes sdk                    one server's present state; the calls that both faces lead to
rest tally_calls watch_socket         REST, with its stream and WebSocket; muster: what Agones does not have
grpc_port grpc_face grpc_calls proto  gRPC, loaded with the first connection
sidecar                               all of it for one match
"""
