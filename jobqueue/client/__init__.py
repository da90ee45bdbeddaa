"""The Python client: one module per resource of the API. The worker uses it, too.

transport: one request to the API: JSON in, JSON out, and two errors.
exchange: how a request reaches the API: over a kept connection, or another one when that is dead.
token: the token that requests carry, from settings and files.
unavailable: what every failure of the network means for a request.
claims: the executor's single requests: claim, heartbeat, report.
batches: the executor's requests about many jobs at once; single ones where the API knows no others.
claimed_job: a job in the answer to a claim.
older_api: whether the API is of an older version.
jobs: the submitter's requests: submit, get.
"""
