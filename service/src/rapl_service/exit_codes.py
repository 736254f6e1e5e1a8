"""The exit codes of the services, besides 0."""

BAD_SETTING = 2
"""A setting is wrong. Starting the service again does not help."""
NOT_STARTED = 3
"""The service could not start for another reason."""
