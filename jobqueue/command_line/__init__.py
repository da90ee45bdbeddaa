"""The commands of `python -m jobqueue`. Each is a module with a function that adds its arguments and one that runs it.

main: reads the arguments and runs a command.
token: makes an API token.
keygen: makes a key pair to sign jobs with.
sign: signs jobs.
"""
