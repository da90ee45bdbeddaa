"""What guards every request before its route: which browsers and which host names may reach the API.

rules: checks every request, whatever its method and path.
browsers: tells requests that other sites' pages make from all others.
hosts: which values of `Host` name this server.
own_names: the names that this machine and its platform give it.
authority: reads `host:port`.
"""
