"""Jobs that end in every way there is. What they do is written to a file, so that the judge is outside the system."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from smtplib import SMTPRecipientsRefused
from typing import Literal
from urllib.request import urlopen

from asgiref.sync import sync_to_async
from django.core.mail import EmailMessage
from django.utils import timezone

from jobs import (
    Bury,
    Discard,
    DiscardJob,
    FailedRun,
    HandBackJob,
    RetryLater,
    RetryPolicy,
    Unique,
    at_once,
    batches,
    current_run,
    effects,
    exponential,
    failpoints,
    fixed,
    jitter,
    job,
    per_window,
)
from jobs.batches import EndedBatch
from jobs.circuits import Circuit
from jobs.emails import send_once
from jobs.iterators import items_of
from jobs.models import SentEmail
from tests.sample import carrier
from tests.sample.carrier import MalformedAddress, NoSuchParcel

QUICK = fixed(0.05)


class Refused(Exception):
    """Permanent."""


class Gone(Exception):
    """Nothing to do any more."""


def note(words: str) -> None:
    """Add one line to the ledger, whole, whoever else writes."""
    if path := os.environ.get("SAMPLE_LEDGER"):
        with open(path, "ab", buffering=0) as ledger:
            ledger.write(f"{words}\n".encode())


@job
def add(left: int, right: int) -> int:
    note(f"add {left} {right}")
    return left + right


@job(queue="critical")
def urgent(number: int) -> None:
    note(f"urgent {number}")


@job
async def add_later(left: int, right: int) -> int:
    await asyncio.sleep(0.01)
    return left + right


@job(retry=1)
async def write_politely(kind: str) -> None:
    await SentEmail.objects.acreate(
        kind=kind, recipient="a@example.com", key="1", claimed_at=timezone.now(), held_until=timezone.now()
    )


@job(retry=1)
async def wait_in_a_thread(seconds: float, number: int) -> None:
    await sync_to_async(nap.function)(seconds, number)


@job(retry=RetryPolicy(attempts=3, backoff=QUICK))
def fail(number: int) -> None:
    note(f"fail {number} {current_run().attempt}")
    raise ValueError(f"no {number}")


@job(retry=RetryPolicy(attempts=5, backoff=QUICK))
def fail_until(attempt: int) -> str:
    if current_run().attempt < attempt:
        raise ConnectionError("not yet")
    return f"at attempt {current_run().attempt}"


@job(retry=RetryPolicy(attempts=5, backoff=QUICK, rules={Refused: Bury, Gone: Discard}))
def end_as(how: str) -> None:
    if how == "refused":
        raise Refused("the address is malformed")
    if how == "gone":
        raise Gone("the order is gone")
    if how == "discard":
        raise DiscardJob("nothing to do")
    if how == "later" and current_run().attempt == 1:
        raise RetryLater(0.3)


@job(timeout=0.5, retry=1)
def hang() -> None:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            note("swallowed")


@job(timeout=600, retry=5)
def hang_on(number: int) -> None:
    """Swallow every exception."""
    note(f"hang {number}")
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            note("swallowed")


@job(timeout=600, retry=5)
async def wait_on(number: int) -> None:
    note(f"wait {number}")
    try:
        await asyncio.sleep(600)
    finally:
        note(f"cleaned up {number}")


@job(timeout=600, retry=5)
def sit_on_in_c() -> None:
    """Block where no exception can strike."""
    note("sit")
    time.sleep(600)


@job(timeout=0.5, retry=1)
async def hang_politely() -> None:
    await asyncio.sleep(60)


@job
def nap(seconds: float, number: int) -> None:
    note(f"start {number}")
    time.sleep(seconds)
    note(f"end {number}")


@job(retry=1, timeout=600)
def stroll(number: int) -> None:
    """Walk on until asked to stop, and go on later."""
    note(f"stroll {number}")
    while not current_run().stopping():
        time.sleep(0.01)
    note(f"stopping {number}")
    raise HandBackJob


def numbers(count: int, pause: float, cursor: int | None) -> Iterator[tuple[int, int]]:
    yield from ((number, number) for number in range((cursor or 0) + 1, count + 1))


@job(iterates=numbers, retry=RetryPolicy(attempts=5, backoff=QUICK))
def walk(number: int, count: int, pause: float) -> None:
    note(f"item {number} {os.getpid()}")
    time.sleep(pause)


@job(iterates=items_of(lambda count: range(1, count + 1)), time_slice=timedelta(seconds=2), retry=5)
def march(number: int, count: int) -> None:
    note(f"item {number}")


@job(iterates=items_of(lambda count, pause: range(1, count + 1)))
def plod(number: int, count: int, pause: float) -> None:
    note(f"begun {number}")
    time.sleep(pause)
    note(f"done {number}")


@job(retry=RetryPolicy(attempts=10, backoff=QUICK))
def book_trip(pause: float) -> None:
    """Two steps; what was booked is told outside."""
    run = current_run()
    for step in ("flight", "hotel"):
        run.step(step, lambda step=step: note(f"booked {step}"))
        note(f"after {step} {os.getpid()}")
        time.sleep(pause)


@job(retry=RetryPolicy(attempts=10, backoff=QUICK))
def kill_worker() -> None:
    note("kill")
    os._exit(9)


@job(retry=RetryPolicy(attempts=10, backoff=QUICK))
def leave_at_once() -> None:
    note("leave at once")
    os._exit(0)


@job(timeout=0.5, retry=1)
def hog() -> None:
    """Hold the interpreter for minutes: no thread of this process runs meanwhile."""
    note("hog")
    re.match(r"(a+)+$", "a" * 40 + "b")


@job(timeout=0.5, retry=1)
def sit_in_c() -> None:
    """Block where no exception can strike."""
    note("sit")
    time.sleep(600)


@job(timeout=0.5, retry=1)
def log_for_ever() -> None:
    while True:
        current_run().logger.warning("again")


@job(retry=1)
def bystander(seconds: float, number: int) -> None:
    note(f"bystander {number}")
    time.sleep(seconds)


@job
def leave() -> None:
    sys.exit(3)


@job(durable=False, retry=RetryPolicy(attempts=2, backoff=QUICK))
def flood(number: int, fails: bool = False) -> None:
    note(f"flood {number}")
    if fails:
        raise ValueError(f"no {number}")


@job(retry=RetryPolicy(attempts=2, backoff=QUICK), sensitive=["card"])
def charge(card: str, order_id: int) -> None:
    raise ValueError(f"card {card} refused for order {order_id}")


@job(retry=RetryPolicy(attempts=10, backoff=QUICK))
def pay(number: int, dies: str, in_doubt: Literal["call", "ask", "look up"] = "call") -> int:
    """Pay once, and lose the process at the first attempt: `in` the call or `after` it."""
    note(f"begin {number}")
    first = Path(os.environ["SAMPLE_LEDGER"]).read_text().splitlines().count(f"begin {number}") == 1

    def call() -> int:
        note(f"paid {number}")
        if first and dies == "in":
            os._exit(9)
        return number * 100

    def look_up() -> int | None:
        there = f"paid {number}" in Path(os.environ["SAMPLE_LEDGER"]).read_text().splitlines()
        return number * 100 if there else None

    asked = look_up if in_doubt == "look up" else None
    paid: int = effects.once(f"pay-{number}", call, in_doubt=in_doubt, look_up=asked)
    if first and dies == "after":
        os._exit(9)
    return paid


@job(retry=RetryPolicy(attempts=10, backoff=QUICK))
def pay_slowly(number: int, seconds: float) -> int:
    def call() -> int:
        note(f"paying {number}")
        time.sleep(seconds)
        note(f"paid {number}")
        return number * 100

    paid: int = effects.once(f"pay-{number}", call)
    return paid


def letter() -> EmailMessage:
    return EmailMessage("A letter", "Hello.", to=["ann@example.com"])


@job(retry=RetryPolicy(attempts=10, backoff=QUICK))
def send_letter(key: str, in_doubt: Literal["send", "ask", "look up"] = "send", *, dies: bool = False) -> bool:
    """Send a letter once, and lose the process at the first attempt: after the server's yes, before the mark."""
    note(f"begin {key}")
    if dies and Path(os.environ["SAMPLE_LEDGER"]).read_text().splitlines() == [f"begin {key}"]:
        failpoints.arm("after_effect", lambda: os._exit(9))
    look_up = is_in_mailbox if in_doubt == "look up" else None
    return send_once("letter", "ann@example.com", key, letter, in_doubt=in_doubt, look_up=look_up)


def is_in_mailbox() -> bool:
    """Whether the mailbox took the letter, as one would ask a mail service."""
    with urlopen(f"{os.environ['MAILBOX_URL']}/messages", timeout=5) as answer:
        return "A letter" in answer.read().decode()


@job(unique="args")
def once(key: str) -> None:
    note(f"once {key}")


@job(unique=Unique(lasting=timedelta(days=1)))
def once_a_day(key: str) -> None:
    note(f"once a day {key}")


@job(unique=["key"], retry=RetryPolicy(attempts=10, backoff=QUICK))
def once_slowly(key: str, seconds: float) -> None:
    note(f"slowly {key} {os.getpid()}")
    time.sleep(seconds)


@job(unique="args", retry=1)
def kill_worker_once_each(key: str) -> None:
    note(f"kill {key}")
    os._exit(9)


_hoarded: list[bytes] = []


@job(retry=1)
def hoard(megabytes: int, seconds: float) -> None:
    """Take memory and never let go of it."""
    _hoarded.append(b"x" * (megabytes * 2**20))
    time.sleep(seconds)


@job
def whereabouts() -> None:
    note(str(os.getpid()))


@job(durable=False)
def pass_through(queue: str, seconds: float = 0.0) -> None:
    time.sleep(seconds)
    note(queue)


@job(retry=1)
def call_partner(number: int) -> None:
    """Fail while the partner is broken: until the file `healed` is beside the ledger."""
    if not Path(os.environ["SAMPLE_LEDGER"]).with_name("healed").exists():
        raise ConnectionError("the partner is broken")
    note(f"called {number}")


@job(retry=1)
def call_one_of(partner: str, number: int) -> None:
    """Fail, each partner in its way, until the file `healed-` and its name is beside the ledger."""
    if not Path(os.environ["SAMPLE_LEDGER"]).with_name(f"healed-{partner}").exists():
        raise {"bank": ConnectionError, "carrier": TimeoutError, "printer": PermissionError}[partner](
            f"the {partner} refuses number {number}"
        )
    note(f"called {partner} {number}")


@job(circuit=Circuit("bell", failures=3, open_for=4), retry=RetryPolicy(attempts=50, backoff=QUICK))
def ring(number: int) -> None:
    """Ring until somebody lets go of the bell: fail while the file `broken` is there, wait while `busy` is."""
    note(f"ring {number}")
    folder = Path(os.environ["SAMPLE_LEDGER"]).parent
    if (folder / "broken").exists():
        raise ConnectionError("nobody opens")
    while (folder / "busy").exists():
        time.sleep(0.02)


# Members of a large batch, and those whom its end is told to.


@job(retry=RetryPolicy(attempts=5, backoff=QUICK, rules={Refused: Bury}), fuse=None)
def belong(number: int) -> None:
    """Three of a hundred are dead while the file `healed` is not beside the ledger, and two have nothing to do."""
    note(f"member {number}")
    if number % 100 < 3 and not Path(os.environ["SAMPLE_LEDGER"]).with_name("healed").exists():
        raise Refused(f"no {number}")
    if 3 <= number % 100 < 5:
        raise DiscardJob("nothing to do")


@job
def hear(event: str) -> None:
    note(f"heard {event}")


# Steps of a large workflow.


@job(retry=RetryPolicy(attempts=5, backoff=QUICK, rules={Refused: Bury}), fuse=None)
def take_step(name: str, how: Literal["well", "at the second try", "with its process", "not"], item: int = 0) -> str:
    """Do a step of a workflow: well, or in one of the ways in which steps go wrong."""
    note(f"step {name} {item} {how}")
    time.sleep(0.02)
    if how == "not":
        raise Refused(f"{name} cannot be done")
    if how == "at the second try" and current_run().attempt == 1:
        raise ConnectionError("not yet")
    if how == "with its process" and Path(os.environ["SAMPLE_LEDGER"]).read_text().count(f"step {name} {item} ") == 1:
        os._exit(9)
    return name


# What is bad in the story that we exist to prevent.


@job(retry=RetryPolicy(rules={ValueError: Bury, SMTPRecipientsRefused: Bury}))
def write_to(address: str) -> None:
    send_once("story", address, "1", EmailMessage("Your order", "It is on its way.", to=[address]))


@job(retry=2, circuit=Circuit("story", open_for=5), limits=[at_once(2, name="story")])
def ask_partner(number: int) -> None:
    """Ask over HTTP, and give the partner a second."""
    urlopen(os.environ["SAMPLE_PARTNER"], timeout=1).close()
    note(f"answered {number}")


@job(retry=RetryPolicy(attempts=3, backoff=QUICK))
def ask_nobody() -> None:
    """Call where nobody listens."""
    socket.create_connection(("127.0.0.1", 1), timeout=1).close()


@job(limits=[at_once(2, key="tenant")], retry=20, fuse=None)
def work_for(tenant: str, number: int, seconds: float) -> None:
    """Say when it began and ended, and in which process: two of a tenant at most."""
    note(f"begin {tenant} {number} {os.getpid()} {time.time():.6f}")
    time.sleep(seconds)
    note(f"end {tenant} {number} {os.getpid()} {time.time():.6f}")


@job(limits=[at_once(2, key="tenant", name="flood")], durable=False)
def flood_for(tenant: str, number: int) -> None:
    note(f"begin {tenant} {number} {os.getpid()} {time.time():.6f}")
    time.sleep(0.2)


@job(limits=[per_window(10, seconds=1)])
def call_slowly(number: int) -> None:
    note(f"called {number} {time.time():.6f}")


# As docs/retrying.md shows them.

CALLING_CARRIER = RetryPolicy(
    attempts=20,
    backoff=exponential(first=10, cap=3600),
    jitter=jitter.EQUAL,
    deadline=timedelta(hours=24),
    rules={
        MalformedAddress: Bury,
        NoSuchParcel: RetryPolicy(attempts=3, backoff=fixed(10), jitter=0, then=Discard),
    },
)


@job(retry=CALLING_CARRIER, on_death="tell_support")
def announce_parcel(parcel_id: int) -> None:
    carrier.announce(parcel_id)


@job(queue="critical")
def tell_support(failed: FailedRun) -> None:
    note(f"{failed['job']} {failed['arguments']} is dead ({failed['reason']}): {failed['error_message']}")


@job(expires=timedelta(minutes=10), expired=Discard)
def send_login_code(customer_id: int) -> None:
    note(f"code {customer_id}")


# Members of a batch, which fill it themselves.


def hundreds(count: int, cursor: int | None) -> Iterator[tuple[int, range]]:
    yield from ((first + 100, range(first, min(first + 100, count))) for first in range(cursor or 0, count, 100))


@job(iterates=hundreds, retry=RetryPolicy(attempts=50, backoff=QUICK))
def fill_batch(numbers: range, count: int) -> None:
    """Add the numbers to the current batch, the even ones on another queue."""
    around = batches.current()
    assert around is not None
    for queue, some in (("low", numbers[::2]), ("default", numbers[1::2])):
        around.enqueue_many(member.using(queue=queue), [(number,) for number in some], once=f"{queue} {numbers[0]}")


@job(retry=RetryPolicy(attempts=50, backoff=QUICK, rules={Refused: Bury}))
def member(number: int) -> None:
    if number % 50 == 7:
        raise Refused(f"{number} is malformed")
    if number % 50 == 8:
        raise DiscardJob
    note(f"member {number}")


@job(queue="critical", retry=20)
def note_batch(ended: EndedBatch) -> None:
    note(f"{ended['event']} {ended['name']} {ended['total']}")


@job(retry=1)
def log_and_fail(password: str) -> None:
    logging.getLogger(__name__).info("logging in with %s", password)
    raise ValueError("refused")
