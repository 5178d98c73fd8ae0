"""Batches: runs that belong together, and what follows when they have ended."""

from jobs.batches.following import follow

__all__ = ["follow"]
