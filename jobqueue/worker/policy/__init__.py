"""What a worker may run, whatever the API says.

allowed_programs: the list of programs in ALLOWED_SHA256_FILE.
"""
