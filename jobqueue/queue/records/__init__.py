"""How things are written in Redis and read back: text in, text out, and nobody is asked.

jobs: jobs, attempts, specs and results.
submissions: new jobs as the script takes them, with new ids.
claimed: the jobs that a claim got.
reports: what executors report about the end of attempts, as the scripts take it and answer it.
activity: who did what.
output_window: finds the part of an output that begins at a byte offset.
"""
