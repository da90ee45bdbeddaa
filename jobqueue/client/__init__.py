"""The Python client: one module per resource of the API. The worker uses it, too.

transport: one request to the API: JSON in, JSON out, and two errors.
claims: the executor's requests: claim, heartbeat, report.
jobs: the submitter's requests: submit, get.
"""
