"""The machine: processes, files and the kernel. Knows no jobs and no HTTP.

hardening: kernel settings that protect the worker from its jobs.
inheritance: puts right what this process has inherited.
child_process: starts processes.
shared_flag: a flag that two processes share.
process_tree: finds and kills the processes below this one.
lock_file: a lock between threads and processes of a host.
locked_directory: a directory that belongs to one living worker.
private_directory: a directory that only this user can write.
directories: the directories of the cache and of the spool.
open_files: the limit of open files.
processors: how many processors this process may use.
error_numbers: system errors that are the host's fault.
"""
