"""Who may call which route, and what each caller sees.

settings: the settings about access.
policy: what was configured, as the app keeps it.
needs: what a caller needs for a route.
guard: checks the token of every request, before anything else of it is read.
callers: the caller of a request.
attempts: whose attempt a request is about.
documented: what the OpenAPI document says about tokens.
refusals: requests without a valid token, summed up for the record of activity.
visibility: what a caller sees of a job.
warning: says at the start that an API is open.
"""
