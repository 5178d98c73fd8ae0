"""No process of a worker outlives its supervisor, whenever that dies."""

from __future__ import annotations

import os
import signal

from jobs.worker import processes, stopping


def test_a_process_whose_supervisor_died_while_it_was_forked_is_told_to_stop() -> None:
    pid = os.fork()
    if pid == 0:
        stopping.listen()
        # Nobody is one's own parent.
        processes._die_with(os.getpid())
        os._exit(0 if signal.SIGTERM in stopping._said_early else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_process_whose_supervisor_lives_is_not() -> None:
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        stopping.listen()
        processes._die_with(parent)
        os._exit(1 if signal.SIGTERM in stopping._said_early else 0)
    assert os.waitpid(pid, 0)[1] == 0
