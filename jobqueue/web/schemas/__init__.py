"""What requests must look like and what answers look like; the OpenAPI document is made from these.

fields: field types and their rules.
submitters: requests of submitters.
executors: requests of executors.
answers: the documented shape of every answer.
"""
