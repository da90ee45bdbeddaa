"""Submits jobs: each line of standard input has their number and their program.

For each it prints the time right before the first was sent.
"""

import importlib
import sys
import time

send = importlib.import_module(sys.argv[1]).send

for line in sys.stdin:
    count, program = line.split()
    started = time.monotonic_ns()
    for _ in range(int(count)):
        send(program)
    print(started, flush=True)
