"""Where a job runs, seen from the worker process: the supervisor process and the directories.

slot: a place for one job at a time.
supervisor_process: the process of a slot's supervisor, and the channel to it.
run: one launch in a slot, from the message that starts it to its outcome.
children: tells the worker's own children from orphans that it inherited.
program_name: what a program's file is called.
workspace: the directories of one attempt.
leftovers: removes the directories and kills the processes that a killed worker left behind.
selftest: runs a small program to find out whether programs can be run and the sandbox holds.
"""
