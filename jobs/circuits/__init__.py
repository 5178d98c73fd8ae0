"""Circuits: calls to a partner that keeps failing are not made for a while, by any process.

    payments = Circuit("payments", failures=5, within=60, open_for=30)

    with payments:
        gateway.charge(order)

1. Entering asks whether it may go through. Of a closed circuit the answer holds for a second, so most calls ask nobody.
2. An error that counts is reported when the block ends; as many as `failures` within the window open the circuit.
3. While it is open, entering raises `CircuitOpen`: in a job that puts the run off, and burns no attempt.
4. After `open_for` seconds one caller is let through as the probe. Its end is reported, whatever it is: success closes.

If Redis cannot answer, calls go through. `policy/circuit.py` decides, `passing` asks and reports, `knowing` is what
this process knows, `operating` what operators see and do.
"""

from jobs.circuits.knowing import forget, set_aside
from jobs.circuits.operating import Status, force_close, force_open, local_names, names, status, statuses
from jobs.circuits.passing import Circuit, circuit, through

__all__ = [
    "Circuit",
    "Status",
    "circuit",
    "force_close",
    "force_open",
    "forget",
    "local_names",
    "names",
    "set_aside",
    "status",
    "statuses",
    "through",
]
