"""The sidecar that a game's process talks to: Agones' REST interface on a life of Muster's.

state.py     PURE: what may follow what, and when silence means that the game is lost
document.py  PURE: the server as a game sees it
rest.py      the calls over HTTP; muster.py those that Agones does not have; answers.py their form
"""
