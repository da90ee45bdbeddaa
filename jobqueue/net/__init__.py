"""What every HTTP connection that we open as a client stands on: names, sockets, time limits, URLs.

names: DNS look-ups with a time limit.
deadline: connections for `requests` that end at one deadline.
urls: how a URL is shown without its secrets.
"""
