"""Which servers a program may be downloaded from: by name, and by the address that a name leads to.

hosts: patterns of names and ports.
addresses: kinds of IP addresses, and which kinds may be connected to.
"""
