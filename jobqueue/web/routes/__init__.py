"""The views, one module for each kind of caller.

jobs: for submitters: submit, list, read, cancel.
claims: for executors: claim, heartbeat, complete, fail, release.
admin: for operators: counts of jobs, active executors, who did what.
health: for probes: health and metrics.
"""
