"""The shapes of requests and answers. The OpenAPI document is generated from them.

requests: what all request bodies have in common.
envelopes: the form of a signature.
text: rules for text, as patterns that every language reads alike.
fields: field types and their rules.
measured: the measured fields of a run, made from the domain's `Measured`.
submitters: requests of submitters.
shortcut: a shortcut for jobs that are certainly valid.
executors: requests of executors.
batches: requests of executors that are about many jobs.
answers: the documented shape of every answer.
"""
