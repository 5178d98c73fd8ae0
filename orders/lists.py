"""The list provider's client: an answer becomes a value or a named error. Knows no customers, never retries."""

from typing import Any
from urllib.parse import quote

from django.conf import settings

from .calling import Answer, AskedToWait, NoAnswer, call


class ListsError(Exception):
    """What the list provider can answer instead."""


class ListsUnavailable(ListsError):
    """No answer, or none that makes sense. Asking again does no harm."""


class RateLimited(AskedToWait, ListsError):
    """The list provider takes no more requests now."""

    partner = "The list provider"


class AddressRefused(ListsError):
    """No mail can be sent to this address, now or later. `words` are the provider's."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words

    def __str__(self) -> str:
        return f"The list provider refused the address: {self.words}"


class RequestRefused(ListsError):
    """The list provider does not understand this request, now or later."""


def add(*, address: str, name: str) -> None:
    """Have this address on the list, where it may be already.

    Refused with `AddressRefused`, `RateLimited`, `ListsUnavailable` or `RequestRefused`.
    """
    answer = _ask("POST", "members", body={"address": address, "name": name})
    match answer.status:
        case 200 | 201 | 409:
            return
        case 422:
            raise AddressRefused(answer.told_text)
    raise _unexpected(answer)


def remove(address: str) -> None:
    """Have this address off the list, where it may not be. Refused as `add` is."""
    answer = _ask("DELETE", f"members/{quote(address, safe='')}")
    if answer.status not in (200, 204, 404):
        raise _unexpected(answer)


def _ask(method: str, path: str, **parts: Any) -> Answer:
    try:
        answer = call(method, f"{settings.LISTS_URL.rstrip('/')}/{path}", **parts)
    except NoAnswer as error:
        raise ListsUnavailable(f"The list provider did not answer ({error}). Ask again.") from error
    if answer.status == 429:
        raise RateLimited(answer.wait_seconds)
    return answer


def _unexpected(answer: Answer) -> ListsError:
    if answer.status == 400:
        return RequestRefused(f"The list provider refused: {answer.told_text} Correct the request.")
    return ListsUnavailable(f"The list provider answered {answer.status} ({answer.told_text}). Ask again.")
