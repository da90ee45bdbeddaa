"""How a program is fetched, verified and cached. Knows nothing of slots or isolation.

cache: programs by SHA-256, shared by all workers of a host.
verified_copy: copies a file only if its hash is right.
download: tries, redirects and hashing of one download.
policy: what may be downloaded, from where, for how long.
errors: how a download can fail.
request: one GET to one host.
connection: a socket that gives up in time.
patience: the deadline, minimum speed and stop of one download.
"""
