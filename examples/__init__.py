"""Small programs that use the API through `jobqueue.client`. They are no part of the package that is installed."""
