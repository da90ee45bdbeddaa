"""How a program is downloaded, verified and cached. Knows nothing of slots or isolation.

cache: programs by SHA-256, shared by this user's workers on a host.
cache_files: the files of the cache: finds, opens and removes them.
kept_copies: verified copies that are used again without another look at their content.
verified_copy: copies a file only if its hash is right.
program_request: what a slot asks the cache for.
download: the tries that a download is made of.
transfer: one try: redirects, time limit, the answer's way into the file.
partial_file: what has arrived of a program, and how to ask a server for the rest.
policy: what may be downloaded, from where, for how long.
errors: how a download can fail, and what each network error means for it.
request: one GET to one server, and the answer.
"""
