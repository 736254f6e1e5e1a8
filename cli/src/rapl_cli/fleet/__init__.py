"""The fleet's programs on this machine: their environments, their supervision, and the macOS LaunchAgent."""
