"""Blocks whose calls go through a circuit: entering asks, leaving reports."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from jobs import renewals
from jobs.broker import circuits as server
from jobs.broker.circuits import PROBE_LIFE_SECONDS
from jobs.broker.lua import Call
from jobs.circuits import knowing
from jobs.errors import BadOptions
from jobs.policy.circuit import Errors, Rules, Says, check_name

_RENEW_SECONDS = PROBE_LIFE_SECONDS / 3
# How many errors back the one that was told of may stand behind the one that was raised.
_DEEPEST = 10

Expected = Callable[[BaseException], bool]
_END = {"failure": server.fail, "answer": server.succeed, "nothing": server.give_back}


class Circuit:
    """A circuit and what opens it, defined once, at the top of a module.

    So many `failures` `within` seconds open it for `open_for` seconds. `counts` are the exception classes that are
    failures of the partner; by default these are all but those of our own code and data. `ignores` are answers: the
    partner is well, though it said no.

    Raises `BadOptions` for what cannot be, and when the name is defined differently elsewhere. A block raises
    `CircuitOpen` when it may not be entered.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 5,
        within: float = 60,
        open_for: float = 30,
        counts: Iterable[type[BaseException]] | type[BaseException] | None = None,
        ignores: Iterable[type[BaseException]] | type[BaseException] = (),
    ) -> None:
        self.name = check_name(name)
        declared = None if counts is None else _as_tuple(counts)
        self.rules = Rules(failures, within, open_for, declared, _as_tuple(ignores))
        known = _defined.setdefault(name, self)
        # A module that is imported anew (a reload, a test) defines the same once more.
        if known.rules != self.rules:
            raise BadOptions(
                f'The circuit "{name}" is defined twice, and differently: {known.rules} and {self.rules}. '
                "Define it in one place, and import it."
            )

    def __enter__(self) -> Circuit:
        through(self).__enter__()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: TracebackType | None) -> None:
        innermost = next((one for one in reversed(_entered.get()) if one.circuit is self), None)
        if innermost is not None:
            innermost.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<Circuit {self.name}>"


_defined: dict[str, Circuit] = {}
_USUAL = Rules()


def circuit(name: str) -> Circuit:
    """The circuit of this name: as it was defined, or else with what is usual.

    with circuit("payments"):
        gateway.charge(order)
    """
    known = _defined.get(name)
    return _plain(name) if known is None else known


def defined() -> list[str]:
    """The names of the circuits that code here defines."""
    return list(_defined)


def _plain(name: str) -> Circuit:
    # Not through `__init__`: a name that is used before it is defined is not defined by that.
    plain = Circuit.__new__(Circuit)
    plain.name, plain.rules = check_name(name), _USUAL
    return plain


class through:
    """A block whose calls go through a circuit. `expected` says of which errors the job's policy has decided: they
    tell of the job, and nothing of the partner. Raises `CircuitOpen`.

    Not a generator: `contextlib` sets the traceback of what passes through, which a frozen exception refuses.
    """

    def __init__(self, circuit: Circuit, *, expected: Expected | None = None) -> None:
        self.circuit = circuit
        self._expected = expected
        self._told: BaseException | None = None
        self._passage: _Passage

    def __enter__(self) -> None:
        self._outer = [one for one in _entered.get() if one.circuit.name == self.circuit.name]
        probing = next((one._passage for one in self._outer if one._passage.is_probing), None)
        # A probe that enters again is the same probe, and must not wait for itself.
        self._is_own = probing is None
        self._passage = probing or _Passage(self.circuit)
        _entered.set((*_entered.get(), self))

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        _entered.set(tuple(one for one in _entered.get() if one is not self))
        says = self._says(error)
        if says == "failure":
            for one in self._outer:
                one._told = error
        if self._is_own or says == "failure":
            self._passage.end(says)

    def _says(self, error: BaseException | None) -> Says:
        if error is None:
            return "answer"
        says = self.circuit.rules.says(error)
        is_none = _came_from(error, self._told) or (self._expected is not None and self._expected(error))
        return "nothing" if says == "failure" and is_none else says


_entered: ContextVar[tuple[through, ...]] = ContextVar("jobs_circuits", default=())


class _Passage:
    """One call that was let through, perhaps as the probe. Raises `CircuitOpen` when it is not let through."""

    def __init__(self, circuit: Circuit) -> None:
        self._name, self._rules = circuit.name, circuit.rules
        self._process = os.getpid()
        self._is_over = False
        self.renew_at = time.monotonic() + _RENEW_SECONDS
        self._probe = knowing.ask(circuit.name, circuit.rules)
        if self._probe:
            renewals.keep(self)

    @property
    def is_probing(self) -> bool:
        return bool(self._probe) and not self._is_over

    def end(self, says: Says) -> None:
        """Report what came of it, once, where it matters."""
        # A job that forks leaves the block twice.
        if self._is_over or self._process != os.getpid():
            return
        self._is_over = True
        if self._probe:
            renewals.drop(self)
            knowing.report(_END[says], self._name, self._rules, token=self._probe)
        elif says == "failure":
            knowing.report(server.fail, self._name, self._rules, token=secrets.token_hex(8))

    def renewal(self) -> Call:
        return server.renewal(self._name, self._rules, token=self._probe)

    def renewed(self, answer: Any, *, asked_at: float) -> bool:
        self.renew_at = asked_at + _RENEW_SECONDS
        # Else another one is the probe by now, or a person has decided.
        return server.is_probe(answer, self._probe)


def _came_from(error: BaseException, told: BaseException | None) -> bool:
    """Whether an error is the one that was told of, or was raised for it."""
    one: BaseException | None = error
    for _ in range(_DEEPEST):
        if told is None or one is None:
            return False
        if one is told:
            return True
        one = one.__cause__ or one.__context__
    return False


def _as_tuple(errors: Iterable[type[BaseException]] | type[BaseException]) -> Errors:
    if isinstance(errors, type):
        return (errors,)
    # What is neither a class nor some is refused where each is looked at.
    return tuple(errors) if isinstance(errors, Iterable) else (errors,)
