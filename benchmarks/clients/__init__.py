"""The programs that send requests. Those that send many are processes of their own.

requests: HTTP over one connection, and the job of the documentation.
in_process: the API without a server, to see what Redis does for each request.
load: requests over many connections, as fast as they are answered.
waiters: executors that ask for jobs.
slow_clients: clients that send half a request or read slowly.
"""
