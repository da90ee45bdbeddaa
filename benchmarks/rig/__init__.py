"""The processes that are measured.

children: starts processes that end with the benchmark.
usage: CPU time and memory of processes, from /proc.
machine: what the machine is, and what other processes took of it.
store: an embedded Redis-compatible server.
servers: the API under gunicorn, and a bare route under the same gunicorn.
ceiling: the bare route.
calls: the script call by which the API stores jobs, to be repeated without the API.
worker: the worker.
programs: the programs of the jobs, and a host for them.
deployment: everything together, and when its jobs ended.
"""
