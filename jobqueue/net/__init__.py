"""What every HTTP connection that we open as a client stands on: names, sockets, time limits, URLs.

time_limit: the deadline, the stop event and the minimum speed of one operation.
names: DNS look-ups with a time limit.
sockets: TCP and TLS sockets that wait no longer than a time limit allows, and urllib3 connections made of them.
adapter: what makes `requests` use these sockets.
statuses: which HTTP statuses are worth another try.
urls: URL rules (parse, join, match against host patterns), and how a URL is shown without its secrets.
"""
