"""An error as it may be stored: named, cut to a size, and without secrets. Knows nothing of runs."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Collection, Iterator
from functools import lru_cache
from types import FrameType

from jobs.policy import redaction
from jobs.policy.fingerprint import innermost

# Enough for the deepest useful traceback; a recursion error's has its middle cut out.
_TRACEBACK_CHARACTERS = 20_000
_MESSAGE_CHARACTERS = 2_000
_FRAME_CHARACTERS = 200
_PYTHONS_OWN = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
# What stands between a worker's thread and the job's function, also that of an async job.
_OUR_MODULES = ("jobs.worker", "asyncio", "asgiref", "concurrent.futures")


def facts(error: BaseException, *, secrets: Collection[str], lines: int) -> dict[str, str]:
    """The error's class, message and so many last lines of its traceback, with each of `secrets` masked wherever it
    stands."""
    return {
        "error_class": _class_name(type(error)),
        "error_message": shown(message(error), secrets)[:_MESSAGE_CHARACTERS],
        "traceback": _cut(_last(lines, shown(_traceback(error), secrets))) if lines else "",
    }


def project_frames(error: BaseException) -> tuple[str, ...]:
    """Where in the project's own code it was raised: "module function" each, the innermost last, without lines."""
    found = (frame for frame in _frames(error) if _is_projects(frame))
    return innermost(f"{_module(frame)} {frame.f_code.co_qualname}"[:_FRAME_CHARACTERS] for frame in found)


def frames(error: BaseException) -> str:
    """Where it was raised, and nothing that it says itself."""
    return "".join(traceback.format_tb(error.__traceback__))


# An exception's text, notes and details are the job's own code and may raise anything, also SystemExit.


def message(error: BaseException) -> str:
    """What the error says. Never raises."""
    try:
        return str(error)
    except BaseException as failure:
        return f"(its text cannot be told: str() raised {type(failure).__name__})"


def _traceback(error: BaseException) -> str:
    trimmed = _without_our_frames(error)
    try:
        return "".join(traceback.format_exception(trimmed))
    except BaseException as failure:
        return f"{frames(trimmed)}(the rest cannot be told: that raised {type(failure).__name__})\n"


def shown(text: str, secrets: Collection[str]) -> str:
    """The text as it may be stored, with each of `secrets` masked, and what looks like one."""
    # Neither NUL nor half a surrogate pair can be stored.
    clean = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return redaction.mask_text(clean, values=secrets)


def _last(lines: int, text: str) -> str:
    told = text.splitlines(keepends=True)
    left_out = len(told) - lines
    if left_out <= 0:
        return text
    return f"… {left_out:,} lines left out …\n{''.join(told[left_out:])}"


def _cut(text: str) -> str:
    if len(text) <= _TRACEBACK_CHARACTERS:
        return text
    half = _TRACEBACK_CHARACTERS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def _without_our_frames(error: BaseException) -> BaseException:
    """The error with its traceback from the job's function inwards; the frames before it are the same each time."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(_OUR_MODULES):
        trace = trace.tb_next
    return error.with_traceback(trace) if trace is not None else error


def _frames(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _is_projects(frame: FrameType) -> bool:
    """Whether it is neither ours, nor Python's, nor an installed package's."""
    return not _module(frame).startswith("jobs.") and not _is_installed(frame.f_code.co_filename)


@lru_cache(maxsize=2048)
def _is_installed(filename: str) -> bool:
    return filename.startswith(("<", *_PYTHONS_OWN)) or "site-packages" in filename or "dist-packages" in filename


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _class_name(error_class: type[BaseException]) -> str:
    module = error_class.__module__
    return error_class.__qualname__ if module == "builtins" else f"{module}.{error_class.__qualname__}"
