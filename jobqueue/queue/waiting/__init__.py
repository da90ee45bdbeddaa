"""Requests that wait: for a job to claim, or for something to happen to a job. One connection listens for all of them.

subscription: a connection on which Redis sends notices.
listener: keeps one subscription alive for the whole process, and passes its notices on.
events: has Redis announce the keys that expire.
notices: which notices have come since a moment.
wait: one claim that waits: what it asks for, why it was woken, and what it gets.
line: who waits for a job, in the order in which they began.
neighbours: how long the claims in other processes of this server have waited.
waiters: lets claims wait: wakes one of them for each new job.
looks: looks for pending jobs every second, for all claims that wait.
watches: lets readers of a job wait for its end or its output.
client: what is asked about the client of a request that waits.
"""
