"""What two RAPL services must agree on: types and the wire format.

A definition belongs here only if two services must agree on it. The package does no I/O, depends on pydantic only, and
imports no other package of RAPL. It has many files because each is one concept of the field.
"""
