"""A workflow of many steps that fail, are retried and kill their processes, while workers die and servers go away: it
ends as its graph says, and its end is told once.

`STORY_STEPS=50 STORY_SEEDS=10 pytest tests/scenarios/test_large_workflow.py` makes ten of them.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from jobs.broker.connection import client
from jobs.models import JobRun, Workflow, WorkflowStep
from jobs.workflows import Flow, any_of, ended, failed, item
from tests.sample import jobs as sample
from tests.scenarios import faults
from tests.scenarios.workers import Workers, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STEPS = int(os.environ.get("STORY_STEPS", "50"))
SEEDS = range(int(os.environ.get("STORY_SEEDS", "1")))
WAYS = ("well", "well", "well", "at the second try", "with its process", "not")
ITEMS = 3


@dataclass(frozen=True)
class Drawn:
    """One step of a graph that was drawn by lot: what it comes after, and how it goes."""

    name: str
    how: str
    after: dict[str, str]
    any_will_do: bool
    is_each: bool


def drawn(seed: int) -> list[Drawn]:
    dice = random.Random(seed)
    steps: list[Drawn] = []
    for number in range(STEPS):
        # Mostly of the last few, so that the graph is deep as well as wide.
        before = dice.sample(steps[-8:], k=min(len(steps), dice.choice((0, 1, 1, 2, 2, 3)) if number > 2 else 0))
        after = {step.name: dice.choice(("success", "success", "success", "failure", "end")) for step in before}
        how = dice.choice(WAYS)
        steps.append(Drawn(f"s{number}", how, after, len(after) > 1 and dice.random() < 0.3, dice.random() < 0.2))
    return steps


def flow_of(steps: list[Drawn]) -> Flow:
    told = {f"on_{event}": sample.hear.prepare(event) for event in ("success", "failure", "complete")}
    flow = Flow("A large one", **told)
    wanted = {"success": str, "failure": failed, "end": ended}
    for step in steps:
        names = [wanted[what](name) for name, what in step.after.items()]
        if step.is_each:
            call, each = sample.take_step.prepare(step.name, step.how, item()), list(range(ITEMS))
        else:
            call, each = sample.take_step.prepare(step.name, step.how), None
        flow.step(step.name, call, after=any_of(*names) if step.any_will_do else names, each=each)
    return flow


def expected(steps: list[Drawn]) -> dict[str, str]:
    """Where each step ends, by the rules as docs/workflows.md has them, told anew."""
    found: dict[str, str] = {}
    for step in steps:
        heard = [_heard(found[name], what) for name, what in step.after.items()]
        found[step.name] = _fate(step, heard)
    return found


def _heard(state: str, wanted: str) -> str:
    if wanted == "end" or state == {"success": "succeeded", "failure": "failed"}[wanted]:
        return "met"
    if wanted == "failure":
        return "skipped"
    return "left out" if state == "skipped" else "blocked"


def _fate(step: Drawn, heard: list[str]) -> str:
    goes = "failed" if step.how == "not" else "succeeded"
    if not heard:
        return goes
    if step.any_will_do:
        return goes if "met" in heard else "blocked" if "blocked" in heard else "skipped"
    if "blocked" in heard or "skipped" in heard:
        return "blocked" if "blocked" in heard else "skipped"
    return goes if "met" in heard else "skipped"


def is_success(steps: list[Drawn], found: dict[str, str]) -> bool:
    """A failure is made good by a step that follows on it and succeeds."""
    mended = {
        name
        for step in steps
        if found[step.name] == "succeeded"
        for name, what in step.after.items()
        if what == "failure"
    }
    return not {name for name, state in found.items() if state == "failed"} - mended


@pytest.mark.parametrize("seed", SEEDS)
def test_under_failures_retries_kills_and_lost_data_it_ends_as_its_graph_says(workers: Workers, seed: int) -> None:
    steps = drawn(seed)
    workflow = flow_of(steps).start()
    running = [workers.start("--processes", "2", SAMPLE_LEASE="5") for _ in range(2)]

    def over() -> int:
        return WorkflowStep.objects.filter(workflow=workflow, ended_at__isnull=False).count()

    happens = [
        lambda: faults.process_dies(running[0], 0),
        client().flushall,
        lambda: faults.process_dies(running[1], 1),
        faults.redis_stands_still,
        faults.database_stands_still,
        lambda: faults.process_dies(running[0], 1),
    ]
    for turn, happen in enumerate(happens):
        wait_until(lambda turn=turn: over() >= STEPS * (turn + 1) // 12, seconds=120, what="some of the steps")
        happen()
    wait_until(lambda: Workflow.objects.get().state != "running", seconds=240, what="the workflow to end")

    rows = {row.name: row for row in WorkflowStep.objects.filter(workflow=workflow).select_related("batch")}
    told = expected(steps)
    assert {name: row.state for name, row in rows.items()} == told
    state = "succeeded" if is_success(steps, told) else "failed"
    assert Workflow.objects.get().state == state
    # Each step that began has its runs, no more and no fewer, however often it was looked at.
    runs = Counter(JobRun.objects.filter(batch__isnull=False).values_list("batch", flat=True))
    for step in steps:
        began = told[step.name] in ("succeeded", "failed")
        assert runs.get(rows[step.name].batch_id or 0, 0) == (ITEMS if step.is_each else 1) * began, step
    heard = JobRun.objects.filter(name="tests.sample.hear").values_list("payload", flat=True)
    assert sorted(args[0] for args, _named in heard) == sorted(
        ["complete", {"succeeded": "success", "failed": "failure"}[state]]
    )
