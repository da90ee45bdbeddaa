"""The connections of a server process.

connection: a client's connection, on which every byte has a time limit.
countdown: what a connection waits for, and how long it may still do so.
table: all connections, what they wait for, and which are closed when there are too many.
"""
