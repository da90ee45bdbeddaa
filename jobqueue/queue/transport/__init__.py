"""Connections to Redis that are made, checked and waited for within one time limit. redis-py makes them.

advice: what an operator can do about a connection that Redis or TLS refuses.
limits: the time limit of the operation under way, which every wait below obeys.
address: what REDIS_URL says: where Redis is, who we are, and how TLS is verified.
logins: logins that Redis refuses, and whether one may run what the scripts run.
names: DNS look-ups that share one another's answers, so that a name server that hangs piles up no threads.
sockets: opens a socket to Redis, and waits on it no longer than the time limit allows.
idle: the connections of a pool that nobody uses, the one used last on top.
pool: the connections of one process, each checked before it is used.
replies: Redis's protocol: commands as bytes, and the values in the bytes that it answers.
exchange: sends commands in one go, and reads the answers.
answers: what the errors that Redis answers mean: full, unavailable, or our own fault.
"""
