"""Breaks workers on purpose and counts what was lost."""
