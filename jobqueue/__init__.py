"""A job queue that runs programs on a few machines: HTTP in front, one Redis behind."""
