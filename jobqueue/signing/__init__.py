"""Signed jobs: what is signed, how it is written, and whose signatures count. No HTTP; cryptography only where needed.

envelope: the signed bytes with their signatures, in the form of DSSE.
payload: what the signed bytes say about a job.
keys: Ed25519 keys: made, read, and used.
"""
