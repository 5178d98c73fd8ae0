"""Each bench as a person starts it, in small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import console, pages
from bench.processes import ROOT, family

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WITHOUT_DATABASE = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}


def start(words: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """A bench whose temporary files are in `folder`, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        env={**WITHOUT_DATABASE, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def bench(*words: str) -> dict[str, Any]:
    """The last line of a bench that went well and left nothing behind."""
    # pytest's own folders are too deep for the name of a unix socket.
    with tempfile.TemporaryDirectory() as name:
        process = start([*words, "--json"], Path(name))
        told, _ = process.communicate()
        assert process.returncode == 0, told
        assert list(Path(name).iterdir()) == []
    result: dict[str, Any] = json.loads(told.splitlines()[-1])
    return result


def test_drain_tells_rates_costs_and_round_trips() -> None:
    told = bench("drain", "--jobs", "200", "--rounds", "1", "--targets", "ours_sqlite", "ours_not_durable", "rq_simple")
    assert told["bench"] == "drain"
    assert told["results_10_ms"].keys() == told["results"].keys()
    assert set(told["results"]) == {"ours_sqlite", "ours_not_durable", "rq_simple"}
    for figures in told["results"].values():
        assert figures["jobs_per_s"] > 0
        assert figures["round_trips"] > 0
        assert figures.keys() >= {"cpu_us", "commands"}


def test_batches_tells_what_members_cost() -> None:
    told = bench("batches", "--jobs", "500", "--rounds", "1", "--targets", "ours_sqlite")
    assert set(told["results"]) == {"ours_sqlite", "ours_sqlite, of a batch"}
    for figures in told["results"].values():
        assert figures["filled_per_s"] > 0
        assert figures["cpu_us"] > 0


def test_console_tells_times_and_queries_of_each_page() -> None:
    told = bench("console", "--runs", "3000", "--rounds", "1", "--most-ms", "5000")
    assert told["runs"] == 3000
    assert set(told["pages"]) >= set(pages.sections())
    for figures in told["pages"].values():
        assert 0 < figures["p50_ms"] <= figures["p95_ms"]
        assert figures["queries"] <= console.MOST_QUERIES


PEERS = {"celery_prefork", "celery_threads", "dramatiq", "huey"}


def test_every_peer_is_measured_or_left_out_with_its_reason() -> None:
    told = bench("drain", "--jobs", "500", "--rounds", "1", "--ms", "0", "--targets", *sorted(PEERS))
    assert told["results"].keys() | told["left_out"].keys() == PEERS
    for figures in told["results"].values():
        assert figures["jobs_per_s"] > 0
        assert figures["commands"] > 0
    for why in told["left_out"].values():
        assert "make bench installs it" in why


def test_the_clients_of_peers_tell_rates_and_latencies() -> None:
    names = ["celery_threads", "dramatiq", "huey"]
    rates = bench("enqueue", "--jobs", "50", "--rounds", "1", "--targets", *names)
    latencies = bench("pickup", "--jobs", "5", "--targets", *names)
    assert rates["results"].keys() == latencies["results"].keys() == set(names) - rates["left_out"].keys()
    for figures in rates["results"].values():
        assert min(figures["one_per_s"], figures["bulk_per_s"]) > 0
    for figures in latencies["results"].values():
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_enqueue_tells_one_by_one_and_in_bulk() -> None:
    told = bench("enqueue", "--jobs", "100", "--rounds", "1", "--targets", "ours_sqlite", "rq_simple")
    assert set(told["results"]) == {"ours_sqlite", "rq"}
    for figures in told["results"].values():
        assert figures["one_per_s"] > 0
        assert figures["bulk_per_s"] > 0


def test_pickup_tells_percentiles() -> None:
    told = bench("pickup", "--jobs", "10", "--targets", "ours_not_durable")
    figures = told["results"]["ours_not_durable"]
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_memory_tells_weight_growth_and_start() -> None:
    with tempfile.TemporaryDirectory() as name:
        process = start(["memory", "--jobs", "300", "--targets", "ours_not_durable", "--json"], Path(name))
        told, _ = process.communicate()
    result = json.loads(told.splitlines()[-1])
    # A busy machine starts slowly, and that is told.
    assert process.returncode == bool(result["broken"])
    figures = result["results"]["ours_not_durable"]
    assert figures.keys() == {"rss_mb", "growth_mb", "startup_s"}
    assert 20 < figures["rss_mb"] < 100


def test_killed_workers_lose_nothing() -> None:
    told = bench("faults", "--scenario", "worker-kill", "--jobs", "200", "--kills", "2")
    assert (told["scenario"], told["target"], told["seed"], told["verdict"]) == ("worker-kill", "ours", 7, "PASS")
    assert (told["hits"], told["acknowledged"], told["ok"]) == (2, 200, 200)


def test_stopped_workers_lose_nothing() -> None:
    told = bench("faults", "--scenario", "stop-storm", "--jobs", "100", "--kills", "3")
    assert (told["verdict"], told["hits"], told["ok"]) == ("PASS", 3, 100)
    assert told["longest_exit_s"] > 0


def test_what_cannot_be_read_ends_where_a_person_finds_it() -> None:
    told = bench("faults", "--scenario", "bad-payload", "--jobs", "20")
    assert told["outcomes"]["a string in place of the hash"] == "quarantined"
    assert (told["worker_deaths"], told["ok"]) == (0, 20)


def test_a_scenario_that_stock_cannot_play_is_refused() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "bench", "faults", "--scenario", "poison", "--target", "stock"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode != 0
    assert "only ours" in process.stderr


def test_an_interrupted_run_leaves_no_process_and_no_folder() -> None:
    with tempfile.TemporaryDirectory() as name:
        process = start(["faults", "--scenario", "worker-kill", "--jobs", "5000", "--kills", "1"], Path(name))
        deadline = time.monotonic() + 30
        # Itself, a Valkey, a client and four workers with a child each at the least.
        while len(members := family(process.pid)) < 11:
            assert time.monotonic() < deadline, "the workers did not start"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert list(Path(name).iterdir()) == []
    assert [pid for pid in members if Path(f"/proc/{pid}").exists()] == []
