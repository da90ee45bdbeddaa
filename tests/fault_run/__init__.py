"""A run of the whole queue under injected faults: `python -m tests.fault_run --minutes 10`.

__main__: the phases of a run, and its report.
history: what clients saw, and which faults were under way when.
relay: TCP relays between the processes that can hold, reset and lose what passes through them.
store: a Redis-compatible primary and its replica, behind a relay.
stage: servers, workers, program host and relays of a run, as a platform would keep them running.
faults: what can go wrong, each injected and healed by a function.
programs: the program that jobs run, and what its lines say afterwards.
clients: submitters, probes and careless executors, which run against the API for the whole time.
verdict: the promises, checked against the history and the store.
"""
