"""The only package that knows Flask and marshmallow: the documented API in front of `jobqueue.queue`.

server: serves the API with gunicorn: its settings, its worker class, and the command `jobqueue-server`.
app: makes the app of one server process.
config: the server's settings.
background: the threads of a server process that work beside its requests.
factory: creates the Flask app.
access: who may call which route, and what each caller sees.
services: gives the queue to the views.
perimeter: guards every request before its route.
rates: how many requests each caller may send.
routes: the views, by who calls them.
requests: what a request says beside its body, and who waits for the answer.
schemas: the shapes of requests and answers.
bodies: reads request bodies within limits, as strict JSON.
representations: jobs and executors as answers show them.
pages: answers that are one page of a list.
errors: turns every error into one JSON shape.
openapi: flask-smorest adapted to this API.
metrics: metrics for Prometheus.
"""
