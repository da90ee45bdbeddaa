"""Requests that wait: for a job to claim, or for something to happen to a job. One connection listens for all of them.

subscription: a connection on which Redis sends notices.
listener: keeps one subscription alive for the whole process, and passes its notices on.
events: has Redis announce the keys that expire.
notices: what notices say, and which have come since a moment.
wait: one claim that waits: what it asks for, its client, why it was woken, what it gets, and that its executor asks.
line: who waits for a job, in the order in which they began.
neighbours: how long the claims in other processes of this server have waited, and when it is their turn.
companions: sends a claim that waits to Redis along with the new job that it waits for.
waking: wakes those in the line that are to ask for a job.
waiters: lets claims wait until they are woken.
looks: looks for pending jobs every second, for all claims that wait.
watches: lets readers of a job wait for its end or its output.
"""
