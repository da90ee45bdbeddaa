"""Other queues, for comparison. Each has an environment of its own in .venv-peers, and a store of its own.

catalogue: which queues, in which versions, and how their workers are started.
environments: makes the environments.
session: a peer that runs: jobs are sent to it, and it says when they ended.
apps: what runs inside the environments. It does not import this project.
"""
