"""Turns measurements into tables, plots and a report."""
