"""The connections of a server process.

connection: a client's connection, on which every byte has a time limit.
table: all connections, what they wait for, and which are closed when there are too many.
"""
