"""The executor: claims jobs over HTTP, downloads, verifies and runs their programs, reports how they ended."""
