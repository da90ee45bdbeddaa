"""Tools for developing jobqueue. Nothing here is needed to run it."""
