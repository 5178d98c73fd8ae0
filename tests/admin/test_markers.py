"""The pages about effects and e-mails: what they show, and what a person may say of a marker."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs.models import AuditEntry, Effect, SentEmail
from tests.admin.rows import a_run, an_effect, an_email

EFFECTS = reverse("admin:jobs_effect_changelist")
EMAILS = reverse("admin:jobs_sentemail_changelist")
MAKERS = {"effect": an_effect, "e-mail": an_email}
MINUTES = timedelta(minutes=5)


@pytest.fixture(params=MAKERS.values(), ids=MAKERS.keys())
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a marker of one of the two."""
    return request.param


def in_doubt(make: Callable[..., Any], *, held: timedelta = -MINUTES, **facts: Any) -> Any:
    now = timezone.now()
    ended = {"result": None, "done_at": None} if make is an_effect else {"sent_at": None}
    return make(state="claimed", claimed_at=now - 2 * MINUTES, held_until=now + held, **ended, **facts)


def act(marker: Any, name: str) -> str:
    return reverse(f"admin:jobs_{marker._meta.model_name}_act", args=[marker.pk, name])


def filled(marker: Any, **words: str) -> dict[str, str]:
    """The form of a marker's page, as a browser sends it."""
    seen = {"claimed_at": marker.claimed_at.isoformat(), "state": marker.state}
    return {**seen, "reason": "asked the partner", **words}


def shown(client: Client, address: str) -> list[str]:
    """The markers that a list shows, by what stands first in their rows."""
    return re.findall(r'<th scope="row">([^<]+?)\s*<', client.get(address).content.decode())


def answer_of(client: Client) -> str:
    return client.get(EFFECTS).content.decode()


# The lists.


@pytest.mark.parametrize("address", [EFFECTS, EMAILS])
def test_an_empty_list_says_so(viewer: Client, assert_strict: Callable[[bytes], None], address: str) -> None:
    answer = viewer.get(address)
    assert_strict(answer.content)
    assert b"yet." in answer.content


def test_an_effect_shows_its_key_result_and_run_and_no_secret(viewer: Client, assert_strict) -> None:
    run = a_run()
    an_effect(run=run.pk)
    answer = viewer.get(EFFECTS)
    assert_strict(answer.content)
    page = answer.content.decode()
    assert "refund-42" in page
    assert "re_42" in page
    assert "sk_live" not in page
    assert f"?q={run.pk}" in page


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("q=refund-2", ["refund-2"]),
        ("q=key:refund", ["refund-3", "refund-2", "refund-1"]),
        ("state=doubt", ["refund-2"]),
        ("state=claimed", ["refund-3", "refund-2"]),
        ("state=done", ["refund-1"]),
        ("q=nothing", []),
    ],
)
def test_effects_are_found_by_key_and_state(viewer: Client, query: str, keys: list[str]) -> None:
    an_effect(key="refund-1")
    in_doubt(an_effect, key="refund-2")
    in_doubt(an_effect, key="refund-3", held=MINUTES)
    assert shown(viewer, f"{EFFECTS}?{query}") == keys


def test_an_effect_is_found_by_its_run(viewer: Client) -> None:
    run = a_run()
    an_effect(run=run.pk)
    an_effect(key="other")
    assert shown(viewer, f"{EFFECTS}?q={run.pk}") == ["refund-42"]


@pytest.mark.parametrize("address", [EFFECTS, EMAILS])
def test_a_wrong_question_is_answered(viewer: Client, address: str) -> None:
    assert b"Did you mean &quot;doubt&quot;?" in viewer.get(f"{address}?state=dubt").content
    assert b"Did you mean &quot;key&quot;?" in viewer.get(f"{address}?q=kye:1").content


@pytest.mark.parametrize("address", [EFFECTS, EMAILS])
def test_a_list_makes_the_same_few_queries_for_any_number(
    operator: Client, address: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        an_effect(key=str(number))
        in_doubt(an_email, key=str(number))
    with django_assert_max_num_queries(6):
        operator.get(address)


def test_only_who_may_act_is_offered_to(operator: Client, viewer: Client) -> None:
    marker = in_doubt(an_effect)
    assert act(marker, "release") in answer_of(operator)
    assert act(marker, "done") in answer_of(operator)
    assert act(marker, "release") not in answer_of(viewer)


def test_a_done_effect_can_be_released_and_not_marked_again(operator: Client) -> None:
    marker = an_effect()
    assert act(marker, "release") in answer_of(operator)
    assert act(marker, "done") not in answer_of(operator)
    assert b"done already" in operator.get(act(marker, "done")).content
    assert b"happened once already" in operator.get(act(marker, "release")).content


# Who may act.


@pytest.mark.parametrize("name", ["release", "done"])
def test_without_the_permission_nothing_is_done_and_that_is_recorded(viewer: Client, make, name: str) -> None:
    marker = in_doubt(make)
    assert viewer.get(act(marker, name)).status_code == 403
    assert not AuditEntry.objects.exists()
    assert viewer.post(act(marker, name), filled(marker)).status_code == 403
    marker.refresh_from_db()
    assert marker.state == "claimed"
    assert AuditEntry.objects.get().outcome == "refused"


@pytest.mark.parametrize("name", ["release", "done"])
def test_looking_at_the_question_changes_nothing(operator: Client, make, name: str, assert_strict) -> None:
    marker = in_doubt(make)
    answer = operator.get(act(marker, name))
    assert_strict(answer.content)
    assert answer.status_code == 200
    marker.refresh_from_db()
    assert marker.state == "claimed"
    assert not AuditEntry.objects.exists()


def test_what_is_not_there_is_not_found(operator: Client) -> None:
    marker = in_doubt(an_effect)
    assert operator.get(act(marker, "explode")).status_code == 404
    marker.delete()
    marker.pk = 17
    assert operator.get(act(marker, "release")).status_code == 404


# What is done.


def test_released_it_is_gone_and_the_audit_says_who_and_why(operator: Client, make) -> None:
    marker = in_doubt(make)
    answer = operator.post(act(marker, "release"), filled(marker), follow=True)
    assert b"Released." in answer.content
    assert not type(marker).objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason) == (f"release {marker._meta.verbose_name}", "asked the partner")


def test_marked_as_done_it_has_what_the_person_says_that_it_gave(operator: Client) -> None:
    marker = in_doubt(an_effect)
    operator.post(act(marker, "done"), filled(marker, result='{"id": "re_9"}'))
    effect = Effect.objects.get()
    assert (effect.state, effect.result) == ("done", {"id": "re_9"})


def test_marked_as_done_an_email_counts_as_sent(operator: Client) -> None:
    marker = in_doubt(an_email)
    operator.post(act(marker, "done"), filled(marker))
    assert SentEmail.objects.get().state == "sent"


def test_what_an_effect_gave_and_could_not_be_kept_is_said_by_a_person(operator: Client) -> None:
    marker = an_effect(result=None, problem="amount is a Decimal")
    operator.post(act(marker, "done"), filled(marker, result="9"))
    effect = Effect.objects.get()
    assert (effect.result, effect.problem) == (9, "")


@pytest.mark.parametrize(("words", "told"), [({"reason": " "}, b"Write down why"), ({"result": "{oops"}, b"as JSON")])
def test_a_form_that_says_too_little_comes_back(operator: Client, words: dict[str, str], told: bytes) -> None:
    marker = in_doubt(an_effect)
    answer = operator.post(act(marker, "done"), filled(marker, **words))
    assert told in answer.content
    marker.refresh_from_db()
    assert marker.state == "claimed"


def test_while_a_run_may_be_at_it_only_force_does_it(operator: Client, make) -> None:
    marker = in_doubt(make, held=MINUTES)
    assert b"may still be at it" in operator.get(act(marker, "release")).content
    assert b"Nothing was changed" in operator.post(act(marker, "release"), filled(marker), follow=True).content
    assert type(marker).objects.exists()
    operator.post(act(marker, "release"), filled(marker, force="on"))
    assert not type(marker).objects.exists()


@pytest.mark.parametrize("claimed_at", ["", "yesterday", "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00"])
def test_a_click_on_an_old_page_touches_nothing(operator: Client, make, claimed_at: str) -> None:
    marker = in_doubt(make)
    answer = operator.post(act(marker, "release"), filled(marker, claimed_at=claimed_at), follow=True)
    assert b"changed since you looked" in answer.content
    assert type(marker).objects.exists()
    assert not AuditEntry.objects.exists()
