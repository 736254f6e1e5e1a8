"""The rules of a session, without input or output: its configuration, its events and its states."""
