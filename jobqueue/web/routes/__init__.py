"""The views, one module for each kind of caller.

jobs: submitters: submit, list, read, cancel.
claims: executors: claim, heartbeat, complete, fail, release.
admin: operators: counts and executors.
health: probes: health and metrics.
"""
