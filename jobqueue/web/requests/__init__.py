"""What a request says beside its body, and who waits for the answer.

callers: whether the client of a request still waits for the answer, and how others are served meanwhile.
waits: requests that wait for something to happen.
idempotency: the header by which a client may send a request again.
binary_hosts: refuses jobs whose programs come from elsewhere than BINARY_HOSTS allows.
who: whom the record of activity names for a request.
job_ids: which texts in a path are job ids.
"""
