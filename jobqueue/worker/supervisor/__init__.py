"""The process between the worker and a job. Single-threaded; `messages` and `output_file` are shared with the worker.

main: serves launches that come over a socket.
program: starts a program and ends it with everything it started.
termination: decides when to send SIGTERM and SIGKILL.
capture: reads one output of the program in bounded memory.
start_failure: says why a program could not be started.
messages: what worker and supervisor send each other.
output_file: both outputs in a file in memory.
"""
