"""How many requests each caller may send in a time. Nothing here but `settings` is imported unless RATE_LIMIT is set.

settings: the setting RATE_LIMIT.
limiter: Flask-Limiter adapted to this API: who is counted, which requests are not, and what the answers say.
storage: where Flask-Limiter counts: in the Redis of the queue, by one of its scripts.
"""
