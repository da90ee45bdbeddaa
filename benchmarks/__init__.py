"""Benchmarks of the server and the worker. README.md has the results and how to run them again."""
