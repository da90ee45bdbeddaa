"""One job, from its claim to its report. Runs in the worker process, on one thread per slot and one for all heartbeats.

runner: makes one attempt: fetches the program, runs it, reports how it ended.
host_fault: why an attempt could not be made on this host.
resources: what attempts are made with, shared by all slots.
attempt: one attempt, shared by all threads that deal with it.
live_output: the latest output of a running program that the API does not have yet.
lease: how long the worker may treat a job as its own; arithmetic without threads.
heartbeat: the thread that renews all leases.
signatures: whether a job is what somebody has signed whom the worker trusts.
environment: the program's environment variables.
platform_stop: recognizes a program that failed because SIGTERM was sent to every process.
"""
