"""Tests of `jobqueue.web.server`."""
