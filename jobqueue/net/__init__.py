"""What every HTTP connection that we open as a client stands on: names, sockets, time limits, proxies, URLs.

time_limit: the deadline, the stop event and the minimum speed of one operation.
names: DNS look-ups with a time limit.
sockets: TCP and TLS sockets that wait no longer than a time limit allows.
addresses: connects to the first of several addresses that answers, and remembers which ones led nowhere.
heads: reads the heads of HTTP answers.
connections: HTTP connections of urllib3 on these sockets, directly or through a proxy.
proxies: which proxy a request goes through.
trust: which certificate authorities are trusted.
network: makes connections; what all of them share.
statuses: which HTTP statuses are worth another try.
urls: URL rules: parse and join.
destinations: which servers may be requested, by name and by address.
"""
