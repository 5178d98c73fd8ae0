"""Unique jobs: what becomes of an asking that meets an equal run (`conflicts`), and which run keeps its equals out for
a time (`holds`). What counts as equal is in `policy.uniqueness`."""
