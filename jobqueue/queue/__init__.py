"""The only wing that knows Redis: every change and every look at the queue is one script in `lua/`."""
