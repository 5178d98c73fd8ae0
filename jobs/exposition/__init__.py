"""What monitoring reads: `page` answers Prometheus, `statsd` sends to StatsD, both from the `numbers` of one moment.

Taking them changes nothing, waits a second for Redis at the most, and does with what the database or Redis knows while
the other is away. Nothing is imported here: who sends to StatsD needs none of Prometheus' library.
"""
