"""API tokens: who may call the API, and what each caller may do. The standard library and the log, no HTTP.

scopes: what a token allows.
tokens: what a token looks like, and how one is made.
entries: the configured tokens, as settings and files write them.
token_file: the file of entries, read again when it changes.
keyring: the tokens that are valid now.
"""
