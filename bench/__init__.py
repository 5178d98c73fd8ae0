"""Measures the project beside its peers, and breaks it on purpose. See `bench/README.md`."""
