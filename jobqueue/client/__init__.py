"""The Python client: one module per resource of the API. The worker uses it, too.

transport: one request to the API: JSON in, JSON out, and two errors.
exchange: how a request reaches the API: over a kept connection, or another one when that is dead.
unavailable: what every failure of the network means for a request.
claims: the executor's requests: claim, heartbeat, report.
jobs: the submitter's requests: submit, get.
"""
