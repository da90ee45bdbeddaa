"""The executor: claims jobs, runs their programs and reports how they ended.

main: the command `jobqueue-worker`.
command_line: arguments, settings, exit code.
lifecycle: puts the parts together, drains them and takes them down.
loop: claims jobs while a slot is free.
vacancies: how many jobs may be claimed, and how many ahead.
pool: one thread per slot, each running one attempt after another.
breaker: pauses the worker after several host faults in a row.
failures: why an attempt can end without a run, and what follows from each cause.
shutdown: receives SIGTERM, SIGINT and SIGHUP.
config: the worker's settings.
check: `worker.py --check`.
attempts: one job, from its claim to its report.
reports: how attempts ended, on disk and on their way to the API.
slots: where a job runs, seen from the worker.
supervisor: the other process: starts the program, reads it, ends it.
programs: how a program is fetched and cached.
isolation: what a program may touch, one module per level.
policy: which programs may run.
host: the machine: processes, files and directories.
"""
