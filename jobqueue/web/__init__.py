"""The only package that knows Flask and marshmallow: the documented API in front of `jobqueue.queue`.

config: the server's settings.
factory: makes the Flask app.
services: hands the queue to the views.
routes: the views, by who calls them.
schemas: what requests and answers look like.
bodies: reads request bodies as strict JSON.
representations: how jobs and executors look in answers.
errors: turns every error into one JSON shape.
gunicorn_errors: the same shape for what gunicorn refuses itself.
openapi: flask-smorest adapted to this API.
metrics: metrics for Prometheus.
"""
