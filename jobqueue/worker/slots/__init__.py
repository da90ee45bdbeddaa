"""Where a job runs, seen from the worker process: the supervisor process and the directories.

slot: a place for one job at a time, backed by a supervisor process.
spawn: starts a supervisor process.
children: tells the worker's own children from orphans it inherited.
waker: an event that ends a poll.
workspace: the directories of one attempt.
selftest: runs a tiny program to prove that programs can be run and isolation works.
"""
