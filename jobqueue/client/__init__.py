"""The Python client, also the worker's: HTTP only, one file per resource."""
