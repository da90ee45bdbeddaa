"""How a program is downloaded, verified and cached. Knows nothing of slots or isolation.

cache: programs by SHA-256, shared by this user's workers on a host.
verified_copy: copies a file only if its hash is right.
download: tries, redirects and hashing of one download.
policy: what may be downloaded, from where, for how long.
errors: how a download can fail, and what each network error means for it.
request: one GET to one server, and the answer.
"""
