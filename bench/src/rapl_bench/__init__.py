"""Measurements side by side: RAPL's parts, and what somebody could use in their place."""
