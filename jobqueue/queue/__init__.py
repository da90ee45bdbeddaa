"""The only package that knows Redis. Every change and every query of the queue is one Lua script in `lua/`.

transport: connections to Redis that are made, checked and waited for within one time limit.
connection: calls within that limit, and what happens while Redis does not answer.
health: whether Redis answers, takes writes and has space.
server_check: says if Redis may evict jobs, or has a version with a known flaw in its Lua.
scripts: loads the Lua scripts and calls them by name.
refusals: what the scripts refuse, and the error for each refusal.
records: how jobs, submissions and reports are written in Redis and read back.
policy: the durations and limits that the scripts are given.
commands: what changes the queue for those who submit jobs, one method per script.
claims: what changes the queue for executors: claims, heartbeats and reports, of one job or of many.
queries: everything that reads the queue.
sweeper: calls the sweep script twice a second, and when a lease or a delay ends.
waiting: requests that wait for a job, or for something to happen to a job.
"""
