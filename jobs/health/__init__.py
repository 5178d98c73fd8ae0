"""Whether what serves and runs jobs is well. It looks, and mends nothing."""
