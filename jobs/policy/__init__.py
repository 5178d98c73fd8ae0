"""Decisions as values: pure functions of what happened. Reads no clock, draws no dice, knows no Django."""
