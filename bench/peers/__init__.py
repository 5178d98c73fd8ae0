"""Other job queues for Python, each with its side of a measurement: set up as its own guide says.

Their packages are in `requirements/bench.txt`.
"""
