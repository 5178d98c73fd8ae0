"""People see schedules as they stand, and add, edit, pause, run, revert and remove them; each with its permission."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import cron, registry, schedules, timetable
from jobs.admin import run_terms
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, JobRun, Schedule, ScheduleEdit, ScheduleTick
from tests.admin.rows import a_run
from tests.admin.test_dead_jobs import told

LIST = reverse("admin:jobs_schedule_changelist")
ADD = reverse("admin:jobs_schedule_add")
RUNS = reverse("admin:jobs_jobrun_changelist")
TERMS = {"job": "tests.sample.add", "expression": "30 2 * * *", "timezone": "Europe/Berlin"}
ARGUMENTS = {"left": 1, "right": 2}
FORM = {
    **{"name": "weekly", "job": "tests.sample.add", "queue": "", "arguments": '{"left": 1, "right": 2}'},
    **{"expression": "0 3 * * 1", "timezone": "Europe/Berlin", "jitter": "0s"},
    **{"missed": "once", "most_missed": "1", "grace": "1m", "overlap": "allow", "most_waiting": "10"},
    **{"late_after": "", "on_late": ""},
}


@pytest.fixture(autouse=True)
def empty_timetable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests and the docs declare stays out."""
    monkeypatch.setattr(timetable, "_timetable", {})


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise BrokerUnavailable("Redis does not answer.")

    monkeypatch.setattr("jobs.broker.inspect.ping", refuse)


def a_schedule(name: str = "nightly", **terms: Any) -> Schedule:
    return schedules.add(
        name, {**TERMS, "arguments": ARGUMENTS, **terms}, actor="<b>ann</b>", reason="it is <i>wanted</i>"
    )


def from_code(schedule: Schedule, **differs: Any) -> Schedule:
    """Let the code have declared it, with other values for some terms that ann changed."""
    terms = {name: getattr(schedule, name) for name in schedules.terms_of(schedule).as_json()}
    schedule.by_code, schedule.code = True, {**terms, **differs}
    schedule.edited = {name: {"by": "ann", "at": timezone.now().isoformat()} for name in differs}
    schedule.save()
    return schedule


def one(schedule: Schedule) -> str:
    return reverse("admin:jobs_schedule_change", args=[schedule.pk])


def act(schedule: Schedule, name: str) -> str:
    return reverse("admin:jobs_schedule_act", args=[schedule.pk, name])


def edit_of(schedule: Schedule) -> str:
    return reverse("admin:jobs_schedule_edit", args=[schedule.pk])


def text_of(answer: HttpResponse) -> str:
    """What the page says, without its marks and its scripts."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode().partition("<main")[2]).split())


def state() -> list[Any]:
    """All that the pages could change."""
    models = (Schedule, ScheduleTick, ScheduleEdit, JobRun, AuditEntry)
    return [list(model.objects.order_by("pk").values()) for model in models]  # type: ignore[attr-defined]


def saved(client: Client, address: str, form: dict[str, str], reason: str = "because") -> HttpResponse:
    """What a person gets who previews a form and then saves it."""
    shown = client.post(address, {**form, "look": "1"}).content.decode()
    seen = re.search(r'name="seen" value="(\w+)"', shown)
    assert seen, text_of(client.post(address, {**form, "look": "1"}))
    return client.post(address, {**form, "save": "1", "reason": reason, "seen": seen[1]})


def form_of(client: Client, schedule: Schedule, **changes: str) -> dict[str, str]:
    """What the edit form holds for a schedule, with changes."""
    page = client.get(edit_of(schedule))
    form = page.context["form"]
    return {**form.asked, "revision": str(form.revision), **changes}


# Looking


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    schedule = a_schedule()
    pages = [LIST, ADD, one(schedule), edit_of(schedule), act(schedule, "pause"), act(schedule, "run")]
    assert [stranger.get(page).status_code for page in pages] == [403] * len(pages)


def test_an_empty_list_shows_how_a_schedule_is_made(
    viewer: Client, operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert '@cron("0 3 * * *", timezone="Europe/Berlin")' in answer.content.decode().replace("&quot;", '"')
    assert ADD not in answer.content.decode()
    assert ADD in operator.get(LIST).content.decode()


def test_the_list_says_when_in_words_and_shows_the_next_five_times_with_what_the_clock_does(
    viewer: Client, assert_strict: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_schedule(missed="skip", overlap="queue")
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 3, 27, 12, tzinfo=UTC))
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    shown, page = text_of(answer), answer.content.decode().partition("<main")[2]
    assert "At 02:30 30 2 * * * Europe/Berlin" in shown
    assert page.count('<time datetime="2026-03-') == 4
    assert '<time datetime="2026-04-01T02:30:00+02:00" title="2026-04-01 00:30:00 UTC">' in page
    assert "03:00 CEST the clock was set forward 1 h; the clock leaps over the time that is said" in shown
    assert "run none older than 1 min up to 10 wait for the one before" in shown
    assert "added by &lt;b&gt;ann&lt;/b&gt;" in page
    assert "✓ on" in shown
    assert "Pause…" not in shown


def test_the_list_shows_the_last_tick_and_how_its_run_ended(viewer: Client) -> None:
    schedule = a_schedule()
    run = a_run("dead", error_class="shop.GatewayDown")
    now = timezone.now()
    ScheduleTick.objects.create(schedule=schedule, due_at=now, ticked_at=now, state="asked", run=run.pk)
    page = viewer.get(LIST).content.decode()
    assert reverse("admin:jobs_jobrun_change", args=[run.pk]) in page
    assert "jobs-state-dead" in page


@pytest.mark.parametrize(
    ("shown", "word"),
    [("paused", "‖ paused"), ("late", "! did not start"), ("overdue", "! not looked at"), ("drift", "≠ other than")],
)
def test_each_way_to_stand_is_said_and_found(viewer: Client, shown: str, word: str) -> None:
    now = timezone.now()
    a_schedule("ordinary")
    schedule = a_schedule("special")
    if shown == "paused":
        schedules.pause(schedule, actor="bob", reason="they <i>move</i>", until=now + timedelta(hours=2))
    elif shown == "late":
        run = a_run("queued", attempts=0, started_at=None)
        ScheduleTick.objects.create(
            schedule=schedule, due_at=now, ticked_at=now, state="asked", run=run.pk, late_told_at=now
        )
    elif shown == "overdue":
        Schedule.objects.filter(pk=schedule.pk).update(next_due_at=now - timedelta(minutes=5))
    else:
        from_code(schedule, expression="0 4 * * *")
    page = text_of(viewer.get(LIST, {"shown": shown}))
    assert word in page
    assert "special" in page
    assert "ordinary" not in page
    assert word in text_of(viewer.get(one(schedule))).replace("Other than", "≠ other than")
    if shown == "paused":
        assert re.search(r"by bob until .+ in 1 h : they &lt;i&gt;move&lt;/i&gt; \(since", page)


def test_what_the_code_declares_and_has_no_row_is_said(viewer: Client) -> None:
    cron("0 3 * * *", name="to come", arguments=ARGUMENTS)(registry.get("tests.sample.add"))
    assert "no row follows it yet: to come." in text_of(viewer.get(LIST))
    from_code(a_schedule("to <b>come</b>"))
    assert "no row follows it yet: to come." in text_of(viewer.get(LIST))
    Schedule.objects.update(name="to come")
    assert "no row follows it yet" not in text_of(viewer.get(LIST))


def test_schedules_are_found_by_name_and_job_and_come_in_pages(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.admin.schedules.PAGE_SIZE", 2)
    for name in "abc":
        a_schedule(f"report-{name}")
    first = viewer.get(LIST)
    assert "report-b" in text_of(first)
    assert "report-c" not in text_of(first)
    assert "?after=report-b" in first.content.decode()
    second = text_of(viewer.get(LIST, {"after": "report-b"}))
    assert "report-c" in second
    assert "report-a" not in second
    assert "report-c" in text_of(viewer.get(LIST, {"q": "RT-C"}))
    assert "No schedule is like that." in text_of(viewer.get(LIST, {"q": "nothing"}))


def test_the_counts_are_of_what_their_links_show(viewer: Client) -> None:
    a_schedule("nightly report")
    schedules.pause(a_schedule("nightly backup"), actor="ann", reason="too slow")
    schedules.pause(a_schedule("weekly"), actor="ann", reason="too slow")
    page = text_of(viewer.get(LIST, {"q": "nightly"}))
    assert "All 2" in page
    assert "Paused 1" in page


def test_one_page_shows_all_there_is_to_know(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    schedule = from_code(a_schedule(jitter=90.0), expression="0 4 * * *", jitter=0.0)
    run = a_run("succeeded")
    now = timezone.now()
    tick = ScheduleTick(schedule=schedule, due_at=now - timedelta(hours=1), ticked_at=now, state="asked", run=run.pk)
    tick.save()
    ScheduleTick.objects.create(
        **{"schedule": schedule, "due_at": now - timedelta(days=2), "until_at": now - timedelta(days=1)},
        **{"ticked_at": now, "state": "missed", "count": 2, "why": "2 passed while no worker looked"},
    )
    answer = viewer.get(one(schedule))
    assert_strict(answer.content)
    shown = text_of(answer)
    assert "At 02:30" in shown
    assert "up to 1 min 30 s later" in shown
    assert "Expression 0 4 * * * 30 2 * * * by ann" in shown
    assert "Jitter 0 s 1 min 30 s by ann" in shown
    assert "2 passed while no worker looked" in shown
    assert "✓ succeeded" in shown
    assert reverse("admin:jobs_jobrun_change", args=[run.pk]) in answer.content.decode()
    assert "&quot;left&quot;: 1" in shown
    assert "it is &lt;i&gt;wanted&lt;/i&gt;" in shown
    assert "Edit…" not in shown
    assert "Audit" not in shown


def test_a_run_says_which_schedule_asked_for_it(viewer: Client) -> None:
    schedule, run, now = a_schedule(), a_run("succeeded"), datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    page = reverse("admin:jobs_jobrun_change", args=[run.pk])
    assert "schedule nightly" not in text_of(viewer.get(page))
    tick = ScheduleTick.objects.create(schedule=schedule, due_at=now, ticked_at=now, state="asked", run=run.pk)
    answer = viewer.get(page)
    assert one(schedule) in answer.content.decode()
    assert "Asked by schedule nightly , due Sat 28 Mar 02:30 CET" in text_of(answer)
    ScheduleTick.objects.filter(pk=tick.pk).update(by_hand="ann")
    assert "schedule nightly , run by ann" in text_of(viewer.get(page))


def content(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_the_runs_of_a_schedule_are_found_from_its_page(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = a_schedule("nightly & daily")
    ours = [schedules.run_now(schedule, actor="ann").run for _ in range(2)]
    other = schedules.run_now(a_schedule("weekly"), actor="ann").run
    (link,) = re.findall(r'href="([^"]+)">All its runs', content(viewer, one(schedule)))
    found = content(viewer, html.unescape(link))
    assert all(str(run) in found for run in ours)
    assert str(other) not in found

    assert "Did you mean &quot;weekly&quot;" in content(viewer, f"{RUNS}?q=schedule:weeky")
    monkeypatch.setattr(run_terms, "MOST_TICKS", 1)
    cut = content(viewer, html.unescape(link))
    assert "latest 1 runs of the schedule only" in cut
    assert str(ours[1]) in cut
    assert str(ours[0]) not in cut


def test_a_time_zone_that_this_system_lacks_is_said_and_the_pages_open(viewer: Client) -> None:
    schedule = a_schedule()
    Schedule.objects.update(timezone="Europe/Atlantis")
    for address in (LIST, one(schedule)):
        assert "There is no time zone" in text_of(viewer.get(address))


def test_secret_arguments_are_masked_everywhere(operator: Client) -> None:
    schedule = a_schedule()
    terms = {"card_token": "tok_live_4242"}
    Schedule.objects.update(arguments=terms)
    ScheduleEdit.objects.update(after={"arguments": terms})
    for address in (one(schedule), edit_of(schedule), act(schedule, "run"), LIST):
        assert "tok_live" not in operator.get(address).content.decode()


@pytest.mark.usefixtures("down")
def test_without_redis_the_pages_say_that_nothing_is_lost(operator: Client) -> None:
    schedule = a_schedule()
    for address in (LIST, one(schedule)):
        assert "Due times still become rows" in text_of(operator.get(address))
    assert "becomes a row now, and is pushed when Redis is back" in text_of(operator.get(act(schedule, "run")))
    assert operator.post(act(schedule, "run"), {"seen": "0"}).status_code == 302
    assert JobRun.objects.count() == 1


def test_the_pages_make_the_same_few_queries_for_any_number(
    viewer: Client, operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    for number in range(20):
        schedule = a_schedule(f"report-{number}")
        for hour in range(25):
            run = a_run("succeeded")
            due = now - timedelta(hours=hour)
            ScheduleTick.objects.create(schedule=schedule, due_at=due, ticked_at=now, state="asked", run=run.pk)
    with django_assert_max_num_queries(12):
        viewer.get(LIST)
    with django_assert_max_num_queries(14):
        operator.get(one(schedule))


def test_looking_changes_nothing(operator: Client) -> None:
    schedule = from_code(a_schedule(), expression="0 4 * * *")
    schedules.run_now(schedule, actor="ann")
    edited = schedules.edit(schedule, {"jitter": 5.0}, actor="ann", reason="x")
    assert edited is not None
    before = state()
    for address in (
        *(LIST, ADD, one(schedule), edit_of(schedule)),
        *(act(schedule, name) for name in ("run", "pause", "resume", "follow", "remove")),
        reverse("admin:jobs_schedule_revert", args=[schedule.pk, edited.pk]),
    ):
        assert operator.get(address).status_code == 200, address
        assert operator.head(address).status_code == 200
    assert operator.post(ADD, {**FORM, "look": "1"}).status_code == 200
    assert operator.post(edit_of(schedule), {**form_of(operator, schedule), "look": "1"}).status_code == 200
    assert state() == before


def test_what_is_not_there_is_not_found(operator: Client) -> None:
    schedule = a_schedule()
    for number in (4711, 2**70):
        for address in (f"{LIST}{number}/", f"{LIST}{number}/edit/", f"{LIST}{number}/pause/"):
            assert operator.get(address).status_code == 404
    assert operator.get(act(schedule, "explode")).status_code == 404
    other = a_schedule("other")
    edit = ScheduleEdit.objects.get(schedule=other)
    assert operator.get(reverse("admin:jobs_schedule_revert", args=[schedule.pk, edit.pk])).status_code == 404


# Acting


def test_an_operator_pauses_and_resumes(operator: Client) -> None:
    schedule = a_schedule()
    asked = text_of(operator.get(act(schedule, "pause")))
    assert "is left out, and is not made up for" in asked
    answer = operator.post(act(schedule, "pause"), {"reason": "they move", "until": "2h"})
    assert answer.status_code == 302
    schedule.refresh_from_db()
    assert (schedule.paused_reason, schedule.next_due_at) == ("they move", None)
    assert schedule.paused_until is not None
    assert timedelta(minutes=119) < schedule.paused_until - timezone.now() < timedelta(minutes=121)
    again = operator.post(act(schedule, "pause"), {"reason": "me too"})
    assert "is paused already" in told(again)[-1]
    assert "It is paused already" in text_of(operator.get(act(schedule, "pause")))
    assert operator.post(act(schedule, "resume"), {}).status_code == 302
    schedule.refresh_from_db()
    assert schedule.paused_at is None
    entries = AuditEntry.objects.exclude(action="add_schedule").order_by("pk")
    assert list(entries.values_list("action", "target", "reason", "address", "outcome")) == [
        ("pause_schedule", "schedule nightly", "they move", "127.0.0.1", "done"),
        ("resume_schedule", "schedule nightly", "", "127.0.0.1", "done"),
    ]


def test_a_pause_ends_by_the_clock_of_the_schedule(operator: Client) -> None:
    schedule = a_schedule()
    operator.post(act(schedule, "pause"), {"reason": "they move", "until": "2099-07-01T08:00"})
    assert Schedule.objects.get().paused_until == datetime(2099, 7, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": " "}, "Write down why"),
        ({"reason": "x", "until": "soon"}, "is no age"),
        ({"reason": "x", "until": "2020-01-01T08:00"}, "has passed"),
        ({"reason": "x", "until": "2026-13-45T08:00"}, "no"),
        ({"reason": "x", "until": "9999-12-31T23:59"}, ""),
    ],
)
def test_a_pause_that_cannot_be_is_asked_again(operator: Client, fields: dict[str, str], words: str) -> None:
    schedule = a_schedule()
    answer = operator.post(act(schedule, "pause"), fields)
    assert answer.status_code in (200, 302)
    assert words in text_of(answer)
    if answer.status_code == 200:
        assert Schedule.objects.get().paused_at is None


def test_an_operator_runs_it_now_once(operator: Client) -> None:
    schedule = a_schedule()
    page = operator.get(act(schedule, "run")).content.decode()
    assert "&quot;left&quot;: 1" in page
    seen = re.search(r'name="seen" value="(\w*)"', page)
    assert seen
    for _ in range(2):
        answer = operator.post(act(schedule, "run"), {"seen": seen[1], "reason": "the figures are wanted"})
    assert "has run the schedule nightly since you looked" in told(answer)[-1]
    tick = ScheduleTick.objects.get()
    assert JobRun.objects.get().pk == tick.run
    assert "run by staff" in text_of(operator.get(one(schedule)))
    entry = AuditEntry.objects.get(action="run_schedule")
    assert (entry.reason, entry.outcome, entry.after["run"]) == ("the figures are wanted", "done", str(tick.run))


def test_an_operator_adds_a_schedule_after_a_preview(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    shown = operator.post(ADD, {**FORM, "look": "1"})
    assert_strict(shown.content)
    assert "At 03:00, only on Monday" in text_of(shown)
    assert shown.content.decode().partition("<main")[2].count("<time") == 5
    assert not Schedule.objects.exists()
    answer = saved(operator, ADD, FORM, "they asked for it")
    added = Schedule.objects.get()
    assert answer["Location"] == one(added)
    assert (added.name, added.expression, added.arguments) == ("weekly", "0 3 * * 1", ARGUMENTS)
    assert added.next_due_at is not None
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("add_schedule", "schedule weekly", "they asked for it")


def test_what_was_changed_after_the_preview_is_shown_before_it_is_saved(operator: Client) -> None:
    shown = operator.post(ADD, {**FORM, "look": "1"}).content.decode()
    seen = re.search(r'name="seen" value="(\w+)"', shown)
    assert seen
    changed = {**FORM, "expression": "0 4 * * 1", "save": "1", "seen": seen[1]}
    answer = text_of(operator.post(ADD, changed))
    assert "You changed something after the preview." in answer
    assert "At 04:00, only on Monday" in answer
    assert not Schedule.objects.exists()


def test_all_that_is_wrong_stands_at_its_field_with_its_cure(
    operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    wrong = {
        **{"name": "", "job": "tests.sample.ad", "queue": "defalt", "arguments": "{left", "expression": "61 * * * *"},
        **{"timezone": "Europe/Berln", "jitter": "soon", "missed": "never", "most_missed": "0", "grace": "-1"},
        **{"overlap": "never", "most_waiting": "x", "late_after": "0", "on_late": "tests.sample.shou"},
    }
    for sent in ({**wrong, "look": "1"}, {**wrong, "save": "1", "seen": "x", "reason": "x"}):
        answer = operator.post(ADD, sent)
        assert_strict(answer.content)
        page = answer.content.decode()
        assert {name for name in wrong if f'id="jobs-problem-{name}"' in page} == set(wrong)
        shown = text_of(answer)
        for cure in (
            *("Write five fields", "Europe/Berlin&quot;?", "Write a number and a unit", "is no whole number"),
            *("cannot be read as JSON", "pass seconds from 0", "pass one of skip, once, all"),
        ):
            assert cure in shown, cure
        assert "Add the schedule" not in page
    assert not Schedule.objects.exists()


def test_an_operator_edits_and_sees_what_changes_first(operator: Client) -> None:
    schedule = a_schedule()
    form = form_of(operator, schedule, expression="0 5 * * *", jitter="1m30s")
    shown = text_of(operator.post(edit_of(schedule), {**form, "look": "1"}))
    assert "Expression 30 2 * * * → becomes 0 5 * * * Jitter 0 s → becomes 1 min 30 s" in shown
    answer = saved(operator, edit_of(schedule), form, "too early")
    assert answer["Location"] == one(schedule)
    schedule.refresh_from_db()
    assert (schedule.expression, schedule.jitter, schedule.arguments) == ("0 5 * * *", 90.0, ARGUMENTS)
    assert schedule.next_due_at is not None
    entry = AuditEntry.objects.get(action="edit_schedule")
    assert (entry.before["expression"], entry.after["expression"]) == ("30 2 * * *", "0 5 * * *")
    assert "too early" in text_of(operator.get(one(schedule)))


def test_an_edit_needs_a_reason_and_a_change(operator: Client) -> None:
    schedule = a_schedule()
    form = form_of(operator, schedule, expression="0 5 * * *")
    assert "Write down why" in text_of(saved(operator, edit_of(schedule), form, " "))
    same = text_of(operator.post(edit_of(schedule), {**form_of(operator, schedule, grace="60"), "look": "1"}))
    assert "Nothing: it says all this already." in same
    assert "Save the changes" not in same
    assert Schedule.objects.get().expression == "30 2 * * *"


def test_an_edit_of_what_somebody_changed_meanwhile_changes_nothing(operator: Client) -> None:
    schedule = a_schedule()
    form = form_of(operator, schedule, expression="0 5 * * *")
    schedules.edit(schedule, {"jitter": 5.0}, actor="bob", reason="x")
    answer = saved(operator, edit_of(schedule), form)
    assert "Somebody changed the schedule nightly meanwhile" in text_of(answer)
    assert Schedule.objects.get().expression == "30 2 * * *"


def test_an_edit_of_masked_arguments_keeps_what_stays_masked(operator: Client) -> None:
    schedule = a_schedule(job="tests.sample.charge", arguments={"card": "4242 or so", "order_id": 1})
    form = form_of(operator, schedule)
    assert "4242" not in form["arguments"]
    saved(operator, edit_of(schedule), {**form, "arguments": form["arguments"].replace("1", "2")})
    assert Schedule.objects.get().arguments == {"card": "4242 or so", "order_id": 2}


def test_an_operator_reverts_an_edit(operator: Client) -> None:
    schedule = a_schedule()
    schedules.edit(schedule, {"expression": "0 5 * * *"}, actor="bob", reason="too early")
    edit = ScheduleEdit.objects.get(action="edit")
    address = reverse("admin:jobs_schedule_revert", args=[schedule.pk, edit.pk])
    assert "Expression 0 5 * * * 30 2 * * *" in text_of(operator.get(address))
    assert "Write down why" in text_of(operator.post(address, {}))
    operator.post(address, {"reason": "it was right"})
    assert Schedule.objects.get().expression == "30 2 * * *"
    assert "It says already what it said before this edit." in text_of(operator.get(address))
    entry = AuditEntry.objects.get(action="revert_schedule")
    assert (entry.target, entry.reason) == ("schedule nightly", "it was right")


def test_an_operator_lets_it_follow_the_code_again(operator: Client) -> None:
    schedule = from_code(a_schedule(), expression="0 4 * * *", jitter=5.0)
    assert "Follow the code…" in text_of(operator.get(one(schedule)))
    operator.post(act(schedule, "follow"), {"reason": "the code is right"})
    schedule.refresh_from_db()
    assert (schedule.expression, schedule.jitter, schedule.edited) == ("0 4 * * *", 5.0, {})
    shown = text_of(operator.get(one(schedule)))
    assert "Follow the code…" not in shown
    assert "Other than the code" not in shown


def test_an_operator_removes_what_a_person_added_and_not_what_the_code_declares(operator: Client) -> None:
    mine, codes = a_schedule(), from_code(a_schedule("codes"))
    assert "The code declares it." in text_of(operator.get(act(codes, "remove")))
    assert "Remove its @cron there" in told(operator.post(act(codes, "remove"), {"reason": "x"}))[-1]
    answer = operator.post(act(mine, "remove"), {"reason": "not wanted"})
    assert answer["Location"] == LIST
    assert list(Schedule.objects.values_list("name", flat=True)) == ["codes"]
    assert AuditEntry.objects.filter(action="remove_schedule", target="schedule nightly", reason="not wanted").exists()


@pytest.mark.parametrize("name", ["run", "pause", "resume", "follow", "remove", "edit", "revert", "add"])
def test_a_viewer_is_refused_and_that_is_recorded(viewer: Client, name: str) -> None:
    schedule = from_code(a_schedule(), expression="0 4 * * *")
    if name == "resume":
        schedules.pause(schedule, actor="ann", reason="x")
    address = {
        "edit": edit_of(schedule),
        "revert": reverse("admin:jobs_schedule_revert", args=[schedule.pk, ScheduleEdit.objects.get().pk]),
        "add": ADD,
    }.get(name, act(schedule, name))
    before = state()[:-1]
    assert viewer.get(address).status_code == 403
    assert viewer.post(address, {**FORM, "reason": "x", "save": "1", "seen": "x"}).status_code == 403
    assert state()[:-1] == before
    entry = AuditEntry.objects.get(outcome="refused")
    action = {"follow": "edit"}.get(name, name)
    assert (entry.action, entry.target) == (
        f"{action}_schedule",
        f"schedule {'weekly' if name == 'add' else 'nightly'}",
    )


@pytest.mark.parametrize(
    ("permission", "offers"),
    [
        ("pause_schedule", ["Pause…"]),
        ("run_schedule", ["Run now…"]),
        ("edit_schedule", ["Edit…", "Remove…"]),
    ],
)
def test_each_permission_offers_its_own_actions(
    person: Callable[..., Client], permission: str, offers: list[str]
) -> None:
    schedule = a_schedule()
    page = text_of(person("view_console", permission).get(one(schedule)))
    every = ["Pause…", "Run now…", "Edit…", "Remove…"]
    assert [word for word in every if word in page] == offers
