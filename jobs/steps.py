"""Steps of a run: what was done once is not done again by a later attempt, and what it gave is given back.

1. Looked up. A step that has its row is not called.
2. Called. A crash from here on, before 3, leaves no row: the next attempt calls again.
3. Kept, in a row. It stays for as long as the run's row does, over retries, stops, requeues and a lost Redis.

An atomic step is called inside the transaction that writes its row, so 2 and 3 happen together or not at all. What
happens outside of our database is not in that transaction: `effects.once` is for that.
"""

from __future__ import annotations

import inspect
import json
import logging
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from django.db import IntegrityError, connections, router, transaction
from django.utils import timezone

from jobs import audit, conf, markers, outbox, registry
from jobs.broker.claim import Claim
from jobs.errors import ArgumentsNotJSON, BadOptions, JobsError, StepNotKept
from jobs.models import JobRun, JobStep
from jobs.models.steps import LONGEST_STEP_NAME
from jobs.policy import arguments as job_arguments
from jobs.policy.storable import LARGEST

logger = logging.getLogger(__name__)

T = TypeVar("T")
_LONGEST_PROBLEM = 500


class Steps(Protocol):
    """The steps of one attempt."""

    def take(self, name: str, call: Callable[[], Any], *, atomic: bool) -> Any:
        """What `call()` gave: made now, or by an earlier attempt of this run."""


class StoredSteps:
    """See the module."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._taken = _Taken()

    def take(self, name: str, call: Callable[[], Any], *, atomic: bool) -> Any:
        self._check_has_row()
        with self._taken.once(name):
            if atomic:
                return self._take_atomically(name, call)
            return self._take(name, call)

    def _take(self, name: str, call: Callable[[], Any]) -> Any:
        if outbox.is_in_transaction(connections[router.db_for_write(JobStep)]):
            raise JobsError(
                f'The step "{name}" was taken inside a transaction, whose rollback would forget that it was done. '
                "Take it outside of the block, or with atomic=True where it changes only the database."
            )
        if (done := self._rows(name).first()) is not None:
            return _result_of(done)
        started = time.monotonic()
        result = _plain(name, call())
        facts = self._facts(started) | _outcome(name, result)
        return _result_of(markers.persisted(JobStep, lambda: self._keep(name, facts)))

    def _take_atomically(self, name: str, call: Callable[[], Any]) -> Any:
        if (done := self._rows(name).first()) is not None:
            return _result_of(done)
        started = time.monotonic()
        with transaction.atomic(using=router.db_for_write(JobStep)):
            # First the row: an attempt that is at the same step waits here for our commit, and then finds it.
            step = self._begun(name)
            if step is None:
                return _result_of(self._rows(name).get())
            result = json.loads(_dumped(name, _plain(name, call())))
            for fact, value in {**self._facts(started), "result": result}.items():
                setattr(step, fact, value)
            step.save()
        return result

    def _begun(self, name: str) -> JobStep | None:
        """The step's row, made now; None where there is one."""
        using = router.db_for_write(JobStep)
        try:
            with transaction.atomic(using=using):
                facts = self._facts(time.monotonic())
                return JobStep.objects.using(using).create(run_id=self._run_id, name=name, **facts)
        except IntegrityError:
            return None

    def _keep(self, name: str, facts: dict[str, Any]) -> JobStep:
        step, is_first = self._rows(name).get_or_create(run_id=self._run_id, name=name, defaults=facts)
        if not is_first:
            known = {"job": self._claim.name, "run": self._claim.run_id}
            logger.warning('the step "%s" of %s was done by another attempt too', name, self._claim.name, extra=known)
        return step

    def _rows(self, name: str) -> Any:
        return JobStep.objects.using(router.db_for_write(JobStep)).filter(run=self._run_id, name=name)

    def _facts(self, started: float) -> dict[str, Any]:
        took = min(round((time.monotonic() - started) * 1000), LARGEST)
        return {"attempt": self._claim.attempt, "run_ms": took, "done_at": timezone.now()}

    @property
    def _run_id(self) -> uuid.UUID:
        return uuid.UUID(self._claim.run_id)

    def _check_has_row(self) -> None:
        job = registry.find(self._claim.name)
        if job is None or not job.options.durable or not self._claim.is_ours:
            raise BadOptions(
                f"{self._claim.name}: run.step needs the run's row, so it goes neither with durable=False nor with "
                "what plain RQ enqueued"
            )


class ForgetfulSteps:
    """For runs that have no row, as in tests: each step is done, and nothing is kept."""

    def __init__(self, claim: Claim) -> None:
        self._taken = _Taken()

    def take(self, name: str, call: Callable[[], Any], *, atomic: bool) -> Any:
        with self._taken.once(name):
            if not atomic:
                return json.loads(_dumped(name, _plain(name, call())))
            with transaction.atomic(using=router.db_for_write(JobStep)):
                return json.loads(_dumped(name, _plain(name, call())))


class _Taken:
    """The names of the steps that an attempt has taken: of two steps of one name, the second would never be done."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def once(self, name: str) -> _Once:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_STEP_NAME or not name.isprintable():
            raise BadOptions(
                f"run.step({name!r}, …): pass a name of 1 to {LONGEST_STEP_NAME} printable characters, and a function"
            )
        if name in self._names:
            raise BadOptions(
                f'This run has taken a step "{name}" already, and what that gave would be taken for this one\'s. '
                f'Give each step a name of its own, such as f"{name}-{{number}}".'
            )
        return _Once(self._names, name)


class _Once:
    """Remembers the name, unless the step fails: then it may be tried again."""

    def __init__(self, names: set[str], name: str) -> None:
        self._names, self._name = names, name

    def __enter__(self) -> None:
        self._names.add(self._name)

    def __exit__(self, error: type[BaseException] | None, *rest: object) -> None:
        if error is not None:
            self._names.discard(self._name)


def remember(run: JobRun, name: str, result: Any, *, actor: str, reason: str = "") -> None:
    """Say what a step of this run gave, where it could not be kept: it is not done again.

    `actor` is who says so, for the audit. Raises `ArgumentsNotJSON`.
    """
    facts = {"result": json.loads(_dumped(name, result)), "problem": ""}
    created = {"attempt": run.attempts, "run_ms": 0, "done_at": timezone.now()}
    with transaction.atomic(using=router.db_for_write(JobStep)):
        JobStep.objects.update_or_create(run_id=run.pk, name=name, defaults=facts, create_defaults=facts | created)
        audit.record(actor=actor, action="remember step", target=str(run.pk), reason=reason, after={"step": name})


def forget(run: JobRun, name: str, *, actor: str, reason: str = "") -> bool:
    """Let the next attempt of this run do a step again; False when it has not done it."""
    with transaction.atomic(using=router.db_for_write(JobStep)):
        deleted, _ = JobStep.objects.filter(run=run.pk, name=name).delete()
        if deleted:
            audit.record(actor=actor, action="forget step", target=str(run.pk), reason=reason, before={"step": name})
    return bool(deleted)


def _plain(name: str, result: Any) -> Any:
    if not inspect.isawaitable(result):
        return result
    if inspect.iscoroutine(result):
        result.close()
    raise BadOptions(f'The step "{name}" gave a coroutine, which did not run; pass async_to_sync(…) of it.')


def _outcome(name: str, result: Any) -> dict[str, Any]:
    try:
        return {"result": json.loads(_dumped(name, result)), "problem": ""}
    except ArgumentsNotJSON as error:
        return {"result": None, "problem": str(error)[:_LONGEST_PROBLEM]}


def _dumped(name: str, result: Any) -> str:
    """What a step gave, as JSON. Raises `ArgumentsNotJSON`, also where it is too large."""
    text = job_arguments.dump({"result": result}, name=f'step "{name}"', limit=sys.maxsize)
    result_text = json.dumps(json.loads(text)["result"], separators=(",", ":"))
    limit = conf.get().MAX_RESULT_BYTES
    if len(result_text) > limit:
        raise ArgumentsNotJSON(
            f'step "{name}": the result is {len(result_text):,} bytes and the limit is {limit:,}. '
            'Store it in a row or a file and return its id, or raise JOBS["MAX_RESULT_BYTES"].'
        )
    return result_text


def _result_of(step: JobStep) -> Any:
    if step.problem:
        raise StepNotKept(
            f'The step "{step.name}" was done, and is not done again, but what it gave could not be kept. '
            f"{step.problem} Mend the step, and say what this one gave by jobs.steps.remember(run, {step.name!r}, …)."
        )
    return step.result
