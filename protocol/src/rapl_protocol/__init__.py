"""What two RAPL services must agree on: the types, and both ends of the wire.

Something enters this package only if two services must agree on it. It imports nothing of ours and no
model library.
"""
