"""What must not be shown: masks secrets in arguments and in text. Knows nothing of where it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any

MASK = "[redacted]"

# Names that carry secrets wherever they appear, as parts of a name: "card_token", "X-Api-Key".
SECRET_NAMES = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "authorization",
    "credential",
    "private_key",
    "cookie",
    "session_key",
    "card_number",
    "cvv",
    "cvc",
    "iban",
)

# Every part takes time in proportion to the text: a name begins a word and is never looked for twice in it,
# and what may be long is possessive or bounded.
_IN_TEXT = re.compile(
    r"(?i)(?<![\w-])((?>[\w-]*?(?:" + "|".join(name.replace("_", "[_-]?") for name in SECRET_NAMES) + r"))[\w-]*+)"
    r"(\\?['\"]?\s*+[=:]\s*+)"
    r"((?:bearer|basic|token|digest|apikey)\s++)?"
    r"(?!\[redacted\])(\"(?>(?:[^\"\\\n]|\\.)*)\"|'(?>(?:[^'\\\n]|\\.)*)'|[^\s,;&)}\]]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s++[A-Za-z0-9._~+/=-]{8,}+")
_URL_PASSWORD = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,255}):(?!\[redacted\])[^\s/]+@")
_CARD_NUMBER = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
# A card's number, without anything around it.
_SHORTEST_ALONE = 13


# What is a secret by its look alone. Each begins where its hint stands, and begins no second time inside of what it
# has read, so that all of them take time in proportion to the text.
_LOOKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # JSON Web Tokens: a header that begins with `{"`, a payload, and a signature that may be empty.
    ("eyJ", re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+")),
    ("PRIVATE KEY", re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY.{0,8}?-----(?s:.*?)(?:-----END [A-Z -]{0,60}|\Z)")),
    *(
        (hint, re.compile(rf"(?<!\w){hint}[A-Z0-9]{{16}}(?!\w)"))
        for hint in ("AKIA", "ASIA", "ABIA", "ACCA")  # Amazon's access keys
    ),
    *((hint, re.compile(rf"(?<!\w){hint}\w{{30,}}+")) for hint in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    ("github_pat_", re.compile(r"(?<!\w)github_pat_\w{30,}+")),
    ("glpat-", re.compile(r"(?<![\w-])glpat-[\w-]{20,}+")),
    ("xox", re.compile(r"(?<![\w-])xox[a-z]-[A-Za-z0-9-]{10,}+")),
    ("k_live_", re.compile(r"(?<!\w)[prs]k_live_\w{10,}+")),
    ("AIza", re.compile(r"(?<![\w-])AIza[\w-]{35}(?![\w-])")),
)
# The project's own, as its settings say. Whoever masks a text does not know of settings, so they are learnt.
_learnt: tuple[re.Pattern[str], ...] = ()


def learn(patterns: Collection[str]) -> None:
    r"""From now on, mask in every text also what these regular expressions match, in place of those learnt before.

    >>> learn([r"EMP-\d{4,8}"])
    >>> mask_text("asked by EMP-20417")
    'asked by [redacted]'
    >>> learn([])
    """
    global _learnt
    _learnt = tuple(re.compile(pattern) for pattern in patterns)


def is_secret(name: str, extra: Collection[str] = ()) -> bool:
    """Whether a value of this name is masked. `extra` are names that count as secret here, as whole names.

    >>> is_secret("card_token"), is_secret("X-Api-Key"), is_secret("order_id")
    (True, True, False)
    """
    return name in extra or _sounds_secret(name)


@lru_cache(maxsize=2048)
def _sounds_secret(name: str) -> bool:
    folded = _folded(name)
    return any(secret in folded for secret in _FOLDED_NAMES)


def mask(value: Any, *, sensitive: Collection[str] = ()) -> Any:
    """A copy of a JSON value with the values of secret names masked at every depth.

    >>> mask({"order_id": 7, "login": {"password": "x"}})
    {'order_id': 7, 'login': {'password': '[redacted]'}}
    """
    if isinstance(value, dict):
        return {
            key: MASK if is_secret(str(key), sensitive) else mask(item, sensitive=sensitive)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask(item, sensitive=sensitive) for item in value]
    if isinstance(value, str):
        return mask_text(value)
    return value


def mask_text(text: str, *, values: Collection[str] = ()) -> str:
    """A text with what looks like a secret masked, and each of `values` wherever it stands.

    >>> mask_text("GET https://bob:hunter2@example.com?api_key=abc")
    'GET https://bob:[redacted]@example.com?api_key=[redacted]'
    """
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, MASK)
    # Most texts are short words: they are not searched for what cannot be in them.
    if ":" in text or "=" in text:
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
        text = _IN_TEXT.sub(rf"\1\2{MASK}", text)
    for pattern in _learnt:
        text = pattern.sub(MASK, text)
    if len(text) < _SHORTEST_ALONE:
        return text
    for hint, look in _LOOKS:
        if hint in text:
            text = look.sub(MASK, text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return _CARD_NUMBER.sub(_mask_card, text)


def secret_values(arguments: Any, *, sensitive: Collection[str] = (), secret: bool = False) -> set[str]:
    """The texts that `mask` hides in arguments, as `str`, `repr` and JSON write them, so that errors and
    tracebacks can hide them too.

    Those under 4 characters are left out: masking every "1" would tell nothing and hide everything.
    """
    if isinstance(arguments, dict):
        found = [
            secret_values(item, sensitive=sensitive, secret=secret or is_secret(str(key), sensitive))
            for key, item in arguments.items()
        ]
        return set().union(*found)
    if isinstance(arguments, list | tuple):
        return set().union(*[secret_values(item, sensitive=sensitive, secret=secret) for item in arguments])
    if not secret or arguments is None or isinstance(arguments, bool):
        return set()
    text = str(arguments)
    return {text, repr(text)[1:-1], json.dumps(text)[1:-1]} if len(text) >= 4 else set()


def _folded(name: str) -> str:
    """The same for `X-Api-Key`, `api_key` and `apiKey`."""
    return name.lower().replace("-", "").replace("_", "")


_FOLDED_NAMES = tuple(_folded(name) for name in SECRET_NAMES)


def _mask_card(match: re.Match[str]) -> str:
    digits = [int(digit) for digit in match.group() if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) if index % 2 else digit for index, digit in enumerate(reversed(digits))]
    # Luhn's check: order numbers of thirteen digits stay readable.
    return MASK if sum(doubled) % 10 == 0 else match.group()
