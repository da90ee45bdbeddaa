"""Everything on one machine, for a first look and for the tests. Nothing here is meant for production.

run: `make run`: an embedded Redis-compatible server, the API and one worker.
program: starts, prints and stops one of them.
variables: the environment of each of them.
redis_server: the embedded Redis-compatible server.
"""
