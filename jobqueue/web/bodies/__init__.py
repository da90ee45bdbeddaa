"""Reads request bodies: within the limits of the route, few large ones at a time, as strict JSON.

limits: how many bytes and how many values the body of a route may have.
parser: makes a body into what a view works with, or into one error that names every invalid field.
reader: reads the bytes of a body, and stops at the limit.
inflating: inflates gzip bodies in pieces.
large: lets only a few large bodies into memory at a time.
strict_json: reads JSON without what two readers might understand differently.
threads: keeps long calculations out of gevent's event loop.
memory: makes the C library return the memory of large bodies to the system.
"""
