"""The only package that knows Redis. Every change and every look at the queue is one script in `lua/`.

connection: how Redis is reached, and what happens when it does not answer.
scripts: loads the Lua scripts, calls them by name, turns refusals into errors.
records: how a job is written in Redis and read back.
policy: lengths of time and limits that the scripts are given.
commands: everything that changes the queue, one method per script.
queries: everything that reads the queue.
output_window: which part of an output is there from an offset on.
sweeper: the thread that calls the sweep script twice a second.
"""
