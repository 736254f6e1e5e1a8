"""Measurements of RAPL's services side by side with their alternatives."""
