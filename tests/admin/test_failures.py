"""The pages about failures: who sees what, and what can be said of a cause."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import causes
from jobs.admin import failures
from jobs.errors import NotDecidable
from jobs.models import AuditEntry, FailureCause
from tests.admin.rows import a_cause, a_dead_job, a_run, an_attempt

LIST = reverse("admin:jobs_failurecause_changelist")
DEAD = reverse("admin:jobs_deadjob_changelist")


def page_of(cause: FailureCause) -> str:
    return reverse("admin:jobs_failurecause_change", args=[cause.pk])


def act(client: Client, cause: FailureCause, name: str, **form: str) -> list[str]:
    """What the page tells after an action."""
    answer = client.post(reverse("admin:jobs_failurecause_act", args=[cause.pk, name]), form)
    return [str(message) for message in get_messages(answer.wsgi_request)]


def shown(client: Client, query: str = "") -> list[str]:
    """The jobs of the causes that the list shows, in its order."""
    content = client.get(f"{LIST}?{query}").content.decode()
    return re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', content)


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    for address in (LIST, page_of(a_cause())):
        assert stranger.get(address).status_code == 403


def test_an_empty_list_says_so(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"No failure wants a look" in answer.content
    assert b"No cause matches" in viewer.get(f"{LIST}?error=x").content
    assert "No failures in 24h." in viewer.get(f"{LIST}?seen=24h").content.decode()
    assert 'href="?seen=7d"' in viewer.get(f"{LIST}?seen=24h").content.decode()
    assert b"There is none" in viewer.get(f"{LIST}?shown=resolved").content


def test_a_row_tells_how_often_since_when_and_what_waits(
    viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    run = a_run("dead")
    cause = a_cause(last_run=run.pk, note="ask the gateway", count=40_000)
    for _number in range(3):
        a_dead_job(cause=cause)
    answer = viewer.get(LIST)
    content = answer.content.decode()
    assert_strict(answer.content)
    assert "&lt;b&gt;#&lt;/b&gt; from the gateway" in content
    assert "40,000" in content
    assert f'{DEAD}?cause={cause.pk}"><strong>3</strong>' in content
    assert f'{reverse("admin:jobs_jobrun_changelist")}?q=cause:{cause.pk}">40,000</a>' in content
    assert "shop.payments: charge" in content
    assert "in r122" in content
    assert "<title>3 in the last 24 h, 2 in the busiest hour</title>" in content
    assert reverse("admin:jobs_jobrun_change", args=[run.pk]) in content
    assert "ask the gateway" in content


def test_the_pages_make_the_same_few_queries_for_any_number(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    made = [a_cause() for _number in range(20)]
    for cause in made:
        a_dead_job(cause=cause)
    # Session, user, two for permissions, the causes, their dead jobs, their runs.
    with django_assert_max_num_queries(7):
        viewer.get(LIST)
    with django_assert_max_num_queries(8):
        viewer.get(page_of(made[0]))


def test_each_list_has_its_causes(viewer: Client) -> None:
    hour = timedelta(hours=1)
    now = timezone.now()
    a_cause(name="tests.new")
    a_cause(name="tests.regressed", state="regressed", regressed_in="r9")
    a_cause(name="tests.asleep", state="snoozed", snoozed_until=now + hour)
    a_cause(name="tests.awake", state="snoozed", snoozed_until=now - hour)
    a_cause(name="tests.ignored", state="ignored")
    a_cause(name="tests.resolved", state="resolved")
    assert set(shown(viewer)) == {"tests.new", "tests.regressed", "tests.awake"}
    assert shown(viewer, "shown=snoozed") == ["tests.asleep"]
    assert shown(viewer, "shown=ignored") == ["tests.ignored"]
    assert shown(viewer, "shown=resolved") == ["tests.resolved"]
    assert len(shown(viewer, "shown=all")) == 6
    assert b"Did you mean &quot;resolved&quot;?" in viewer.get(f"{LIST}?shown=resolvd").content


@pytest.mark.parametrize("query", ["job=tests.ship", "error=NoStock", "error=says+no", "seen=1h"])
def test_each_filter_finds_what_it_names(viewer: Client, query: str) -> None:
    a_cause(last_seen_at=timezone.now() - timedelta(hours=2))
    a_cause(name="tests.ship", error_class="shop.NoStock", message="the warehouse says no")
    assert shown(viewer, query) == ["tests.ship"]


def test_pages_go_to_causes_that_were_seen_longer_ago(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PAGE_SIZE", 2)
    at = timezone.now()
    # Seen in one moment, as those are that one transaction tells of.
    for name in "abc":
        a_cause(name=f"tests.{name}", last_seen_at=at)
    older = re.search(r'href="\?(older=[^"]+)" rel="next"', viewer.get(LIST).content.decode())
    assert older
    assert shown(viewer) == ["tests.c", "tests.b"]
    assert shown(viewer, older[1]) == ["tests.a"]
    assert shown(viewer, "older=nonsense~1") == ["tests.c", "tests.b"]


def test_the_page_of_a_cause_shows_all_of_it(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    cause = a_cause(state="regressed", regressed_in="r124", decided_by="ann", removed=12)
    buried = a_dead_job(cause=cause)
    answer = operator.get(page_of(cause))
    content = answer.content.decode()
    assert_strict(answer.content)
    assert "ann had resolved it; it came back in release r124." in content
    assert reverse("admin:jobs_jobrun_change", args=[buried.run_id]) in content
    assert f"{reverse('admin:jobs_deadjob_bulk', args=['retry'])}?cause={cause.pk}" in content
    assert "12 dead jobs" in content
    assert cause.fingerprint in content


def test_the_page_of_a_cause_leads_to_a_fuse_for_those_who_may(operator: Client, viewer: Client) -> None:
    cause = a_cause(name="tests.ship")
    hold = reverse("admin:jobs_fuse_add") + "?job=tests.ship"
    page = reverse("admin:jobs_failurecause_change", args=[cause.pk])
    assert hold in operator.get(page).content.decode()
    assert hold not in viewer.get(page).content.decode()


def test_a_cause_that_is_not_there_is_not_found(viewer: Client) -> None:
    assert viewer.get(reverse("admin:jobs_failurecause_change", args=[99])).status_code == 404
    assert viewer.get(reverse("admin:jobs_failurecause_change", args=[10**30])).status_code == 404


# What can be said of a cause.


@pytest.mark.parametrize(("name", "state"), [("resolve", "resolved"), ("ignore", "ignored"), ("snooze", "snoozed")])
def test_an_operator_says_what_becomes_of_a_cause(operator: Client, name: str, state: str) -> None:
    cause = a_cause()
    act(operator, cause, name, **{"for": "2d", "reason": "known"})
    cause.refresh_from_db()
    assert (cause.state, cause.is_open, bool(cause.snoozed_until)) == (state, False, name == "snooze")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.outcome) == (f"{name} cause", "known", "done")
    assert (entry.before, entry.after["state"]) == ({"state": "new"}, state)
    assert entry.target == f"cause {cause.pk}: tests.charge: shop.GatewayDown"
    act(operator, cause, "reopen")
    cause.refresh_from_db()
    assert (cause.state, cause.snoozed_until) == ("new", None)


def test_a_note_is_kept_and_the_audit_has_the_one_before(operator: Client) -> None:
    cause = a_cause(note="nobody knows")
    assert act(operator, cause, "note", note="  the gateway drops us ") == ["Noted."]
    cause.refresh_from_db()
    assert cause.note == "the gateway drops us"
    assert AuditEntry.objects.get().before == {"note": "nobody knows"}


@pytest.mark.parametrize("name", failures.ACTIONS)
def test_a_viewer_is_refused_and_that_is_written_down(viewer: Client, name: str) -> None:
    cause = a_cause()
    answer = viewer.post(reverse("admin:jobs_failurecause_act", args=[cause.pk, name]), {"for": "1d", "note": "x"})
    assert answer.status_code == 403
    assert FailureCause.objects.get().state == "new"
    assert AuditEntry.objects.get().outcome == "refused"
    assert b"<form" not in viewer.get(page_of(cause)).content.partition(b'id="content"')[2]


def test_looking_changes_nothing(operator: Client) -> None:
    cause = a_cause()
    for name in failures.ACTIONS:
        assert operator.get(reverse("admin:jobs_failurecause_act", args=[cause.pk, name])).status_code == 302
    assert operator.get(reverse("admin:jobs_failurecause_act", args=[cause.pk, "explode"])).status_code == 404
    assert FailureCause.objects.get().state == "new"
    assert not AuditEntry.objects.exists()


def test_a_second_click_changes_nothing(operator: Client) -> None:
    cause = a_cause(state="resolved")
    assert act(operator, cause, "resolve") == ["Nothing was changed. This cause is resolved already."]
    assert not AuditEntry.objects.exists()


def test_enter_in_a_field_snoozes_and_resolves_nothing(operator: Client) -> None:
    """A browser presses the first button of the form."""
    content = operator.get(page_of(a_cause())).content.decode()
    form = content[content.index('id="jobs-for"') :]
    first = re.search(r'formaction="([^"]+)"', content)
    assert first is not None
    assert first[1].endswith("/snooze/")
    assert first[0] in form


@pytest.mark.parametrize("length", ["", "soon", "0s", "3000w"])
def test_a_snooze_wants_a_time_that_is_ahead(operator: Client, length: str) -> None:
    cause = a_cause()
    (said,) = act(operator, cause, "snooze", **{"for": length})
    assert said.startswith("Nothing was changed.")
    assert FailureCause.objects.get().state == "new"


def test_a_cause_that_went_meanwhile_is_refused() -> None:
    cause = a_cause()
    FailureCause.objects.all().delete()
    with pytest.raises(NotDecidable, match="was removed"):
        causes.resolve(FailureCause(pk=cause.pk or 1), actor="ann")


# On the other pages.


def test_dead_jobs_are_found_by_their_cause(operator: Client) -> None:
    cause = a_cause()
    a_dead_job(name="tests.this", cause=cause)
    a_dead_job(name="tests.other", cause=a_cause())
    content = operator.get(f"{DEAD}?cause={cause.pk}").content.decode()
    assert re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', content) == ["tests.this"]
    assert "Only this cause:" in content
    preview = operator.get(f"{reverse('admin:jobs_deadjob_bulk', args=['retry'])}?cause={cause.pk}").content
    assert b"Retry 1 dead job?" in preview
    assert b"There is no cause &quot;77777&quot; any more." in operator.get(f"{DEAD}?cause=77777").content


def test_the_list_of_dead_jobs_has_their_causes_above_it(viewer: Client) -> None:
    cause = a_cause(name="tests.common")
    for _number in range(2):
        a_dead_job(name="tests.common", cause=cause)
    a_dead_job(name="tests.rare", cause=a_cause(name="tests.rare"))
    for query in ("", "?queue=default"):
        content = viewer.get(f"{DEAD}{query}").content.decode()
        assert re.findall(r"<strong>(\d+)</strong> (tests\.\w+)", content) == [
            ("2", "tests.common"),
            ("1", "tests.rare"),
        ]


def test_the_page_of_a_run_names_its_cause(viewer: Client) -> None:
    cause = a_cause()
    buried = a_dead_job(cause=cause)
    waiting = a_run("retrying", error_class="shop.GatewayDown", error_message="503")
    an_attempt(waiting, 1, fingerprint=cause.fingerprint)
    for run in (buried.run, waiting):
        assert page_of(cause) in viewer.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content.decode()
