"""The process between the worker and a job. Single-threaded.

The worker imports three of these modules, `messages`, `channel` and `output_file`, and none of the others.

main: serves the launches that the worker sends.
program: starts a program, and ends it with everything it started.
vfork: starts a program without a copy of this process.
contexts: makes the calls of C functions that this takes.
termination: decides when to send SIGTERM and SIGKILL.
ended_children: wakes the supervisor when a child has ended.
platform_stop: recognizes a SIGTERM that somebody sends to every process.
capture: reads one output of the program in bounded memory.
start_failure: says why a program could not be started.
messages: all messages between worker and supervisor.
channel: sends and receives messages and descriptors.
output_file: both outputs in a file in memory.
"""
