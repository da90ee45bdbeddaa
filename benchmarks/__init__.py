"""Measures what the queue costs and compares it with bounds, with a bare route and with other queues.

`make bench` runs it. README.md has the latest results and explains how to read them.

__main__: the command.
figures: medians, percentiles and ratios.
outcome: what one measure gave, and whether its bound holds.
table: the table of the outcomes, as text and as Markdown.
chart: the same as a picture.
results: the file of the latest results, and the part of README.md that is written from it.
rig: the processes that are measured.
clients: the programs that send requests.
rows: the measures, a module for each group of rows of the table.
peers: other queues, each in an environment of its own.
"""
