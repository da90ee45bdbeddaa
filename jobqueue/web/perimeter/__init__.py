"""What surrounds every request: who may make it, what its answer says to browsers, and what identifies it.

hooks: what an app does before and after every request, whatever its method and path.
rules: the browser rule and the host rule.
browsers: tells requests that other sites' pages make from all others.
hosts: which values of `Host` name this server.
own_names: the names that this machine and its platform give it.
authority: reads `host:port`.
proxies: what proxies say about the original request.
request_ids: the id of a request.
answer_headers: the headers that every answer has.
"""
