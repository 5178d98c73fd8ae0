"""What makes two failures the same: a text's normal form, and the fingerprint of a failure. Reads no error itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

LENGTH = 32
MESSAGE_CHARACTERS = 300
# What differs between two failures of one kind is mostly further out.
FRAMES = 3
# What is longer is cut first: no rule may take its time from how long a message is.
_READ_CHARACTERS = 2_000

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*+"
_CLOCK = r"(?:[T ,]{1,2}\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?(?:Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d\b))?)?"
# In this order: what contains another stands before it. Each begins where no word is under way, and what may be long
# is possessive, so that each takes time in proportion to the text. A group that repeats is atomic: before 3.11.5
# Python goes on at a wrong place behind a possessive one.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), placeholder)
    for pattern, placeholder in (
        (r"(?<![\w+.-])[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>\])},;]++", "<url>"),
        # An apostrophe within a word begins no quotation.
        (
            r"(?<!\w)(?:\"(?>(?:[^\"\\\n]|\\.)*)\"|'(?>(?:[^'\\\n]|\\.)*)'(?!\w)|`[^`\n]*+`|«[^»\n]*+»|“[^”\n]*+”)",
            "<text>",
        ),
        (r"(?<![\w.+-])[\w.+%-]{1,100}@[a-z0-9-]++(?:\.[a-z0-9-]++)+", "<email>"),
        (rf"(?<!\w)\d{{4}}-\d\d-\d\d{_CLOCK}", "<date>"),
        (rf"(?<!\w)(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*+,?\s+)?\d{{1,2}}\s+{_MONTH}\s+\d{{4}}{_CLOCK}", "<date>"),
        (rf"(?<!\w){_MONTH}\s+\d{{1,2}},?\s+\d{{4}}{_CLOCK}", "<date>"),
        (r"(?<![\w/.~\\-])(?:~|\.{1,2}|[a-z]:)?(?:[/\\][\w.@%+=~-]++)+[/\\]?", "<path>"),
        (r"(?<!\w)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?!\w)", "#"),
        (r"(?<!\w)0x[0-9a-f]++", "#"),
        # A hash or an id: letters and digits in one word. "A17" and "12ms" keep their letters.
        (r"(?<!\w)(?=[a-f]*+\d)(?=\d*+[a-f])[0-9a-f]{8,}+(?!\w)", "#"),
        (
            r"(?<![^\W_])(?![a-z]++\d++(?![^\W_])|\d++[a-z]{1,3}(?![^\W_]))"
            r"(?=[a-z]++\d|\d++[a-z])[a-z0-9]{6,}+(?![^\W_])",
            "#",
        ),
        (r"(?:(?<![\w#>])[-+])?\d++(?>(?:[.,:]\d++)*)(?:e[-+]?\d++(?!\w))?", "#"),
    )
)
_LIST = re.compile(r"(#|<[a-z]+>)(?:,\s*+\1)+")
_SPACE = re.compile(r"\s++")


@dataclass(frozen=True)
class Failure:
    """What is told of a failure. `frames` are the project's own, as "module function", the innermost last."""

    job: str
    error_class: str
    message: str = ""
    frames: tuple[str, ...] = ()

    @cached_property
    def normal_message(self) -> str:
        """The message without what differs from run to run."""
        return normalised(self.message)

    @property
    def fingerprint(self) -> str:
        """Equal for failures of one kind: 32 letters and digits."""
        return fingerprint(self.job, self.error_class, self.frames, self.normal_message)


def normalised(message: str) -> str:
    """A message without numbers, ids, addresses, dates, paths and what is quoted: equal for failures of one kind.

    >>> normalised("Order 17 not found"), normalised("No 'blue hammer' for ann@example.com at 2026-05-04 10:00")
    ('Order # not found', 'No <text> for <email> at <date>')
    """
    text = message[:_READ_CHARACTERS]
    for pattern, placeholder in _RULES:
        text = pattern.sub(placeholder, text)
    text = _SPACE.sub(" ", _LIST.sub(r"\1", text)).strip()
    return text[:MESSAGE_CHARACTERS].rstrip()


def fingerprint(job: str, error_class: str, frames: Iterable[str], normal_message: str) -> str:
    """The fingerprint of a failure, of which the message is in its normal form."""
    parts = (job, error_class, *innermost(frames), "", normal_message)
    # A separator that no part has: "ab" and "c" are not "a" and "bc".
    return hashlib.sha256("\x00".join(parts).encode(errors="replace")).hexdigest()[:LENGTH]


def innermost(frames: Iterable[str]) -> tuple[str, ...]:
    """The frames that tell failures apart. Each counts once: how deep a recursion went says nothing."""
    return tuple(dict.fromkeys(frames))[-FRAMES:]
