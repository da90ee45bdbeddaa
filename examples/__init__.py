"""Small programs that use the API. They are no part of the package that is installed.

demo: what `make demo` runs. executor: an executor that needs nothing but Python.
"""
