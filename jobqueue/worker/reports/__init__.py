"""How attempts ended: written to disk, and sent until the API has answered.

report: what an attempt reports to the API when it has ended.
journal: a file of small reports, one on each line.
spool: reports on disk until the API has answered them.
delivery: sends the reports in the spool, in batches where it can, again and again if need be.
intake: where the jobs go that are claimed along with reports.
outage: whether the API answers reports, and when to try again if it does not.
outbox: which report a thread of the delivery sends next, and when.
"""
