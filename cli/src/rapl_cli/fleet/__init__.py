"""The services as processes of this machine: their environments, their supervisor, and the macOS LaunchAgent."""
