"""The Python client: one module per resource of the API. The worker speaks to the API through it.

transport: one request to the API: JSON in, JSON out, and two errors.
claims: what an executor asks: claim, heartbeat, report.
jobs: what a submitter asks: submit, get.
"""
