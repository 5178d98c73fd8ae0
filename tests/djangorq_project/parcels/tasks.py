"""The background jobs, as in any project on django-rq."""

import asyncio
import time
from pathlib import Path

from django_rq import job
from rq import get_current_job

from parcels.models import Event, Parcel


def note(code, what):
    Event.objects.create(code=code, what=what)


@job
def register(code):
    Parcel.objects.get_or_create(code=code)
    note(code, "registered")
    return {"code": code}


@job("high", timeout=10, result_ttl=300)
def weigh(parcel, weight, *, at):
    parcel.weight = weight
    parcel.save()
    note(parcel.code, f"weighed {weight} at {at:%Y-%m-%d}")
    return at


def deliver(code):
    """The first two tries fail."""
    note(code, "tried")
    if Event.objects.filter(code=code, what="tried").count() < 3:
        raise ConnectionError("nobody at home")
    return "delivered"


def refuse(code):
    note(code, "refused")
    raise ValueError(f"{code} is refused")


def wait_for_door(code, path):
    note(code, "rang")
    if not Path(path).exists():
        raise ConnectionError("nobody opens")
    return "opened"


def carry(code, seconds):
    note(code, "carrying")
    time.sleep(seconds)
    note(code, "carried")
    return "carried"


def collapse(code, path):
    """Takes its process down, as a fault in a C library would, once."""
    note(code, "lifted")
    if not Path(path).exists():
        Path(path).touch()
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    return "lifted"


async def track(code):
    await asyncio.sleep(0.01)
    return f"{code} is on its way"


def whoami():
    current = get_current_job()
    current.meta["progress"] = 100
    current.save_meta()
    return [current.origin, current.func_name]


def slow():
    time.sleep(30)


def on_delivered(job, connection, result, *args, **kwargs):
    note(job.meta["code"], f"callback: {result}")


def on_refused(job, connection, type, value, traceback):
    note(job.meta["code"], f"callback: {type.__name__}")


class Sorter:
    @staticmethod
    def sort(codes):
        return sorted(codes)
