"""Writes measurements as tables, plots and a report."""
