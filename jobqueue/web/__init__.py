"""The only wing that knows Flask and marshmallow: the API as it is documented, in front of `jobqueue.queue`."""
