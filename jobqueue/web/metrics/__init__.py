"""Metrics for Prometheus.

http: metrics of HTTP requests, and all metrics in Prometheus's text format.
queue: the queue's metrics, as they are in Redis.
processes: what the processes of a server count together.
shared_memory: numbers by name, in memory that several processes share.
values: the numbers inside prometheus_client's metrics, kept in shared memory.
merged: the metrics of all processes together.
saved: the counts in a file, which outlives the server.
"""
