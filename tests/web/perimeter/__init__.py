"""Tests of `jobqueue.web.perimeter`."""
