"""A job queue that runs programs on a few machines: HTTP in front, one Redis behind.

web: the HTTP API. The only package that knows Flask.
queue: the jobs in Redis. The only package that knows Redis.
worker: the executor that runs jobs.
client: the Python client of the API.
signing: signed jobs.
net: names, sockets, time limits and URLs for every HTTP request that we send.
local: everything on one machine, for a first look.
__main__: `python -m jobqueue`.
command_line: the commands of `python -m jobqueue`.
access: API tokens and their scopes.
job: a job and the attempts made at it.
result: what an executor says about a job.
output: how much of a program's output is kept.
json_stream: writes JSON piece by piece.
errors: every error that the API answers, with its code.
settings: reads settings from environment variables.
backoff: how long to wait before trying again.
clock: the clock that leases are counted by.
logs: the log, with one event on each line.
log_stream: writes lines without ever waiting for their reader.
redaction: hides secrets in URLs, and shows characters that hide themselves.
"""

__version__ = "0.1.0"
