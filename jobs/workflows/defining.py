"""How workflows are said: steps, what they come after, and results that are known later. All of it is plain JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from jobs import conf, drafts
from jobs.errors import BadOptions, BadWorkflow, did_you_mean
from jobs.models import Workflow
from jobs.policy import arguments, graph, references
from jobs.policy.references import ITEM, PREVIOUS, RESULT_OF, Reference
from jobs.registry import Bound, Job, Placed, Prepared
from jobs.workflows import starting

# As long as the columns that keep them.
_LONGEST_NAME, _LONGEST_KEY, _LONGEST_STEP = 200, 200, 100
# What this takes is looked through by people, and saved in one transaction.
_MOST_STEPS = 10_000

_Path = str | int


@dataclass(frozen=True)
class After:
    """A step to come after, and what is waited for in it."""

    step: str
    wanted: str = graph.SUCCESS


@dataclass(frozen=True)
class AnyOf:
    """Steps of which the first will do."""

    steps: tuple[str | After, ...]


_After = str | After | AnyOf | Sequence[str | After]


@dataclass(frozen=True)
class Step:
    """One step as it was defined."""

    name: str
    call: Prepared
    after: tuple[After, ...] = ()
    needs: str = graph.ALL
    each: Any = None
    when: tuple[Mapping[str, Any], ...] = ()

    def references(self) -> Iterable[Mapping[str, Any]]:
        """What it wants to know of others."""
        within = [list(self.call.call.args), self.call.call.kwargs, self.each, *map(_asked_of, self.when)]
        return references.found_in(within)


def failed(step: str) -> After:
    """Come after a step that failed, and be skipped when it did not."""
    return After(step, graph.FAILURE)


def ended(step: str) -> After:
    """Come after a step, however it ended."""
    return After(step, graph.END)


def any_of(*steps: str | After) -> AnyOf:
    """Come after the first of these."""
    return AnyOf(steps)


def result_of(step: str, *path: _Path) -> Any:
    """In arguments: what a step returned, or what `path` leads to in it; a list of the items' results, where it had
    one run for each. None where the step did not succeed."""
    return Reference({RESULT_OF: step, "path": list(path)})


def previous(*path: _Path) -> Any:
    """In the arguments of a chain: what the call before returned."""
    return result_of(PREVIOUS, *path)


def item(*path: _Path) -> Any:
    """In the arguments of a step with `each`: the item, or what `path` leads to in it."""
    return Reference({ITEM: True, "path": list(path)})


class Flow:
    """A workflow that is being defined. Nothing is stored before `start`.

    `key` makes it one workflow however often it is started. `on_success`, `on_failure` and `on_complete` are prepared
    calls that are enqueued once when it has ended so, `on_stall` each time when nothing has moved for `stalls_after`, a
    timedelta or seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        key: str | None = None,
        on_success: Prepared | None = None,
        on_failure: Prepared | None = None,
        on_complete: Prepared | None = None,
        on_stall: Prepared | None = None,
        stalls_after: timedelta | float = timedelta(hours=1),
    ) -> None:
        _check_text(name, "name", _LONGEST_NAME)
        if key is not None:
            _check_text(key, "key", _LONGEST_KEY)
        self.name = name
        self.key = key
        self.callbacks = {
            "on_success": on_success,
            "on_failure": on_failure,
            "on_complete": on_complete,
            "on_stall": on_stall,
        }
        for option, call in self.callbacks.items():
            if call is not None and not isinstance(call, Prepared):
                raise BadWorkflow(f"{option}={call!r}: pass job.prepare(…).")
            if call is not None and list(references.found_in([list(call.call.args), call.call.kwargs])):
                raise BadWorkflow(f"{option} has no results; make it a step, with after=ended(…).")
        self.stalls_after = _seconds(stalls_after)
        self.steps: dict[str, Step] = {}

    def step(
        self,
        name: str,
        call: Prepared | Job[Any, Any] | Placed[Any] | Callable[..., Prepared],
        *,
        after: _After = (),
        each: Any = None,
        when: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Add a step. Returns its name.

        `after` names the steps that it comes after: a step or a list, all of which must have succeeded, `failed(…)`,
        `ended(…)`, or `any_of(…)`. With `each`, a list or the result of a step that returns one, there is a run per
        item: `item()` stands for it in the call, which may then be the job alone. `when` is a condition, or several
        that must all hold: `result_of("plan", "total").above(100)`, `holds(function, …)`. Raises `BadWorkflow`.
        """
        _check_text(name, "the name of a step", _LONGEST_STEP)
        if name in self.steps:
            raise BadWorkflow(f'There are two steps named "{name}"; give one of them another name.')
        prepared = _prepared(name, call, each=each)
        names, needs = _after(after)
        made = Step(name, prepared, names, needs, each, _conditions(name, when))
        _check_call(made)
        self.steps[name] = made
        return name

    def check(self) -> None:
        """Look whether the steps fit together. Raises `BadWorkflow` with what does not."""
        if not self.steps:
            raise BadWorkflow(f'The workflow "{self.name}" has no step; add one with .step(…).')
        if len(self.steps) > _MOST_STEPS:
            raise BadWorkflow(
                f"{len(self.steps):,} steps are more than {_MOST_STEPS:,}. Use each= for what is done many times."
            )
        _check_names(self.steps)
        _check_references(self.steps, self.order())

    def order(self) -> list[Step]:
        """The steps, each behind those that it comes after. Raises `BadWorkflow` where they go in a circle."""
        try:
            names = graph.order({step.name: [one.step for one in step.after] for step in self.steps.values()})
        except ValueError as error:
            circle = " → ".join(error.args[0])
            raise BadWorkflow(f"These steps wait for one another: {circle}. Take one after= away.") from error
        return [self.steps[name] for name in names]

    def start(self) -> Workflow:
        """Check it, store it and enqueue the first steps, in the caller's transaction. Returns the `Workflow`.

        With a `key` that was started before it is that workflow, and nothing is enqueued; `created` is False then.
        """
        self.check()
        return starting.start(self._row(), [self._step_row(place, step) for place, step in enumerate(self.order())])

    def _row(self) -> Workflow:
        told = {option: call.as_json() for option, call in self.callbacks.items() if call is not None}
        return Workflow(name=self.name, key=self.key, stalls_after=self.stalls_after, **told)

    def _step_row(self, place: int, step: Step) -> starting.StepFacts:
        return starting.StepFacts(
            name=step.name,
            place=place,
            call=step.call.as_json(),
            each=step.each,
            after=[[one.step, one.wanted] for one in step.after],
            needs=step.needs,
            when=list(step.when),
        )


def chain(*calls: Prepared, name: str = "chain", key: str | None = None, **options: Any) -> Flow:
    """A workflow of calls, one after the other; `previous()` in one stands for the result of the one before.

    Steps are named by their jobs, with a number where one comes again. `options` are those of `Flow`.
    """
    flow = Flow(name, key=key, **options)
    seen: Counter[str] = Counter()
    before = ""
    for call in calls:
        if not isinstance(call, Prepared):
            raise BadWorkflow(f"{call!r} cannot be part of a chain; pass job.prepare(…).")
        short = call.job.name.rpartition(".")[2][: _LONGEST_STEP - 6]
        seen[short] += 1
        step = short if seen[short] == 1 else f"{short}-{seen[short]}"
        before = flow.step(step, _naming(call, before), after=before or ())
    return flow


def _naming(call: Prepared, before: str) -> Prepared:
    def fill(reference: Mapping[str, Any]) -> Any:
        if reference.get(RESULT_OF) != PREVIOUS:
            return reference
        if not before:
            raise BadWorkflow("previous() stands in the first call of a chain; nothing is before it.")
        return Reference({**reference, RESULT_OF: before})

    bound = call.call
    args, kwargs = tuple(references.filled(bound.args, fill)), references.filled(bound.kwargs, fill)
    return replace(call, call=Bound(args, kwargs))


def _prepared(name: str, call: Any, *, each: Any) -> Prepared:
    if isinstance(call, Prepared):
        return call
    if each is None:
        raise BadWorkflow(f'The step "{name}" is {call!r}; pass job.prepare(…).')
    if isinstance(call, Job | Placed):
        return call.prepare(item())
    made = call(item()) if callable(call) else None
    if not isinstance(made, Prepared):
        raise BadWorkflow(f'The step "{name}" is {call!r}; pass a job, or job.prepare(…) with item() in it.')
    return made


def _after(after: _After) -> tuple[tuple[After, ...], str]:
    needs = graph.ALL
    if isinstance(after, AnyOf):
        after, needs = after.steps, graph.ANY
    given = [after] if isinstance(after, str | After) else list(after)
    for one in given:
        if not isinstance(one, str | After):
            raise BadWorkflow(f"after={one!r}: pass names of steps, failed(…), ended(…), or any_of(…) alone.")
    names = dict.fromkeys(After(one) if isinstance(one, str) else one for one in given)
    return tuple(names), needs


def _conditions(name: str, when: Any) -> tuple[Mapping[str, Any], ...]:
    given = list(when) if isinstance(when, list | tuple) else [when]
    for one in given:
        if not isinstance(one, Mapping) or not ("predicate" in one or "compares" in one):
            raise BadWorkflow(
                f'The step "{name}" has when={one!r}; pass a condition such as result_of("plan").is_true() or holds(…).'
            )
    arguments.dump({"when": given}, name=name, limit=conf.get().MAX_ARGUMENT_BYTES)
    return tuple(given)


def _asked_of(condition: Mapping[str, Any]) -> Any:
    return [condition["args"], condition["kwargs"]] if "predicate" in condition else condition["of"]


def _check_call(step: Step) -> None:
    # Refuses what would be refused when it begins: a queue that is not there, a job without rows, a fixed time.
    drafts.ask(step.call.job, replace(step.call.placing, batch=0))
    step.call.as_json()
    arguments.dump({"each": step.each}, name=step.name, limit=conf.get().MAX_ARGUMENT_BYTES)
    items = [one for one in step.references() if ITEM in one]
    if items and step.each is None:
        raise BadWorkflow(f'The step "{step.name}" has item() in it; say each=, a list or a result_of(…).')
    if step.each is None:
        return
    if not isinstance(step.each, list) and RESULT_OF not in (step.each if isinstance(step.each, dict) else ()):
        raise BadWorkflow(f'The step "{step.name}" has each={step.each!r}; pass a list or a result_of(…).')
    if not items:
        raise BadWorkflow(f'The step "{step.name}" has each=, and item() is nowhere in its call.')


def _check_names(steps: Mapping[str, Step]) -> None:
    for step in steps.values():
        for one in step.after:
            if one.step not in steps:
                raise BadWorkflow(
                    f'"{step.name}" comes after "{one.step}", which is no step.{did_you_mean(one.step, steps)} '
                    f"Add it with .step(…), or correct after=."
                )
        if both := graph.never([(one.step, one.wanted) for one in step.after], step.needs):
            raise BadWorkflow(
                f'"{step.name}" could never begin: it wants "{both}" to succeed and to fail. '
                "Make it any_of(…), or take one of them away."
            )


def _check_references(steps: Mapping[str, Step], order: Sequence[Step]) -> None:
    places = {step.name: place for place, step in enumerate(order)}
    # Which steps come before each, as bits by their places.
    before: dict[str, int] = {}
    for step in order:
        before[step.name] = 0
        for one in step.after:
            before[step.name] |= before[one.step] | 1 << places[one.step]
        for reference in step.references():
            name = reference.get(RESULT_OF)
            if name is None:
                continue
            if name not in steps:
                hint = did_you_mean(str(name), steps) if name else " previous() is for chains."
                raise BadWorkflow(f'"{step.name}" wants the result of "{name}", which is no step.{hint}')
            if not before[step.name] >> places[name] & 1:
                raise BadWorkflow(
                    f'"{step.name}" wants the result of "{name}", which does not come before it: say after="{name}".'
                )


def _check_text(given: object, what: str, longest: int) -> None:
    if not isinstance(given, str) or not 0 < len(given) <= longest or not given.isprintable():
        raise BadWorkflow(f"{what} is {given!r}: pass a printable text of 1 to {longest} characters.")


def _seconds(given: timedelta | float) -> float:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= 10**8:
        raise BadOptions(f"stalls_after={given!r}: pass a timedelta, or seconds from 1")
    return float(seconds)
