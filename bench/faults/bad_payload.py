"""Arguments, results and hashes that cannot be.

1. What a caller may not pass is refused when it enqueues.
2. Jobs are enqueued, and what Redis holds of them is damaged: cut, filled with rubbish, nested without end, pickled,
   put in place of another type. Others return what cannot be kept.
3. The workers start. Sound jobs beside them must all be ok, no process of a worker may end, and each bad one must end
   in a place where a person finds it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from bench.faults.fleet import Hit
from bench.faults.trial import Result, Settings, Trial, trial
from bench.processes import family

WORKERS = 2
_HUGE = 50_000_000
_DEEP = 100_000
_CALM_SECONDS = 60.0


def run(settings: Settings) -> Result:
    """Let it happen; `jobs` are the sound ones."""
    with trial(settings, workers=WORKERS, limit_seconds=120 + settings.jobs / 5) as one:
        folder = one.folder / "cases"
        client = one.fleet.fork(lambda: enqueue_bad_ones(one, folder))
        one.wait(lambda: one.fleet.has_ended(client), seconds=_CALM_SECONDS, fleet=False)
        cases = dict(line.split("\t") for line in folder.read_text().splitlines())
        refused = {case: said for case, said in cases.items() if case in REFUSED}
        stored = {case: run_id for case, run_id in cases.items() if case not in REFUSED}
        one.fleet.keep_running()
        one.wait(lambda: all(one.fleet.ready(number) for number in range(WORKERS)), seconds=30)
        before = {member for pid in one.fleet.pids for member in family(pid)}
        one.enqueue(settings.jobs)
        one.wait(lambda: all(is_told(one, run_id) for run_id in stored.values()), seconds=_CALM_SECONDS)
        one.until_over(settings.jobs)
        deaths = len(before - {member for pid in one.fleet.pids for member in family(pid)})
        outcomes = refused | {case: outcome(one, run_id) for case, run_id in stored.items()}
        wrong = [f"{case}: {said}, not {EXPECTED[case]}" for case, said in outcomes.items() if said != EXPECTED[case]]
        one.hits += [Hit(one.started_at, ()) for _ in outcomes]
        return one.result(
            planned=len(EXPECTED),
            jobs=settings.jobs,
            broken=wrong + ([f"{deaths} processes of workers ended"] if deaths else []),
            figures={"outcomes": outcomes, "worker_deaths": deaths},
            lines=[f"{case}: {said}" for case, said in outcomes.items()],
        )


def deep() -> Any:
    value: Any = []
    for _ in range(1000):
        value = [value]
    return value


# What a caller passes, and the error that it gets.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a lambda as argument": (lambda: lambda: None, "ArgumentsNotJSON"),
    "50 MB of arguments": (lambda: "x" * _HUGE, "ArgumentsTooLarge"),
    "arguments nested 1,000 deep": (deep, "ArgumentsNotJSON"),
    "bytes as argument": (lambda: b"\xff\xfe", "ArgumentsNotJSON"),
    "half of a character": (lambda: "\ud800", "ArgumentsNotJSON"),
    "not a number": (lambda: float("nan"), "ArgumentsNotJSON"),
}
# How a run's hash is damaged, once it waits, and what the run comes to.
DAMAGED: dict[str, tuple[Callable[[Any, str], Any], str]] = {
    "data cut short": (lambda redis, key: redis.hset(key, "data", redis.hget(key, "data")[:-3]), "dead"),
    "data that is no UTF-8": (lambda redis, key: redis.hset(key, "data", b"\xff\xfe\x00rubbish"), "dead"),
    "data nested without end": (lambda redis, key: redis.hset(key, "data", b"[" * _DEEP), "dead"),
    "pickled data": (
        lambda redis, key: redis.hset(key, "data", pickle.dumps(("os.system", None, ["true"], {}))),
        "dead",
    ),
    "data that names no job": (
        lambda redis, key: redis.hset(key, "data", '["os.system",null,["true"],{}]'),
        "scheduled",
    ),
    "arguments that do not fit": (lambda redis, key: redis.hset(key, "data", '["bench.give",null,[1,2,3],{}]'), "dead"),
    "attempts that are no number": (lambda redis, key: redis.hset(key, "attempts", "many"), "succeeded"),
    "times that are none": (
        lambda redis, key: redis.hset(key, mapping={"created_at": "x", "enqueued_at": "y"}),
        "succeeded",
    ),
    "a string in place of the hash": (lambda redis, key: (redis.delete(key), redis.set(key, "x")), "quarantined"),
    "no hash at all": (lambda redis, key: redis.delete(key), "succeeded"),
}
# What a job returns. It has done its work: a result that cannot be kept is dropped.
RETURNED = {"a result that is no JSON": "object", "a result of 50 MB": "huge", "a result nested 1,000 deep": "deep"}
EXPECTED = (
    {case: error for case, (_, error) in REFUSED.items()}
    | {case: state for case, (_, state) in DAMAGED.items()}
    | dict.fromkeys(RETURNED, "succeeded")
)


def enqueue_bad_ones(trial: Trial, told: Any) -> None:
    """Enqueue all that is bad, and write down each case with its run or its refusal."""
    from bench.jobs import give

    redis = trial.ours.redis
    lines = [f"{case}\t{_refusal(make)}" for case, (make, _) in REFUSED.items()]
    for case, (damage, _) in DAMAGED.items():
        run_id = str(give.enqueue("nothing").id)
        damage(redis, f"rq:job:{run_id}")
        lines.append(f"{case}\t{run_id}")
    lines += [f"{case}\t{give.enqueue(what).id}" for case, what in RETURNED.items()]
    told.write_text("\n".join(lines))


def _refusal(make: Callable[[], Any]) -> str:
    from bench.jobs import give
    from jobs.errors import JobsError

    try:
        give.enqueue(make())
    except JobsError as error:
        return type(error).__name__
    return "taken"


def outcome(trial: Trial, run_id: str) -> str:
    """What became of a run: its state, or that it is in quarantine."""
    if run_id.encode() in trial.ours.redis.lrange("jobs:quarantine", 0, -1):
        return "quarantined"
    rows = trial.ours.database.rows(f"SELECT state FROM jobs_jobrun WHERE rq_id = '{run_id}'")
    return str(rows[0][0]) if rows else "gone"


def is_told(trial: Trial, run_id: str) -> bool:
    """Whether it has come to an end, or to where it waits for a person or for other code."""
    return outcome(trial, run_id) in ("succeeded", "dead", "quarantined", "scheduled")
