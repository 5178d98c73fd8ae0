"""Run as a program: a guarded body with a child and a grandchild that do not heed SIGTERM or SIGHUP.

Says "ready" once they run; stops on the first stop signal with exit status 0.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from orders.demo.guard import guarded, unblock_stop_signals


def body() -> int:
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: asked.append(number))
    unblock_stop_signals()
    stubborn = "trap '' TERM HUP INT; (trap '' TERM HUP INT; sleep 60) & echo ready; sleep 60"
    subprocess.Popen(["sh", "-c", stubborn], start_new_session=True)
    while not asked:
        time.sleep(0.01)
    print(f"stopped by {signal.Signals(asked[0]).name}, {len(asked)} time", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(body))
