"""What stands around every page: navigation, counts by state, how far is recorded, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.admin import panels, shell
from jobs.broker import keys
from jobs.broker.connection import client as redis
from jobs.errors import BrokerUnavailable
from jobs.models import Incident, JobRun
from tests.admin.conftest import SHELL_QUERIES
from tests.admin.rows import a_dead_job, a_run

AUDIT = reverse("admin:jobs_auditentry_changelist")
DEAD = reverse("admin:jobs_deadjob_changelist")
FUSES = reverse("admin:jobs_fuse_changelist")
COUNTS = re.compile(r'<li><a href="([^"]+)"><span class="jobs-state jobs-state-(\w+)">.*?<strong>(\d+)<')
INDEX = reverse("admin:app_list", args=["jobs"])


def head(client: Client, address: str = FUSES) -> str:
    """The page above its own content."""
    return client.get(address).content.decode().partition("<main")[0]


def current(page: str) -> list[tuple[str, str]]:
    return re.findall(r'aria-current="(\w+)">([^<]+)</a>', page)


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_every_section_opens_and_marks_itself(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    nav = head(operator).partition('class="jobs-nav"')[2].partition("</nav>")[0]
    links = re.findall(r'<li><a href="([^"]+)"[^>]*>([^<]+)</a>', nav)
    assert len(links) >= 14
    for address, label in links:
        page = operator.get(address)
        assert page.status_code == 200
        assert_strict(page.content)
        assert current(page.content.decode().partition("<main")[0]) == [("page", label)]


def test_a_page_below_a_section_marks_it(viewer: Client) -> None:
    run = a_run()
    assert current(head(viewer, reverse("admin:jobs_jobrun_change", args=[run.pk]))) == [("true", "Jobs")]
    assert current(head(viewer, reverse("admin:jobs_jobrun_waiting"))) == [("page", "Scheduled and retries")]


def test_the_skip_link_leads_behind_the_navigation(viewer: Client) -> None:
    page = viewer.get(FUSES).content.decode()
    assert page.index('href="#content-start"') < page.index('class="jobs-nav"') < page.index('id="content-start"')


def test_who_may_see_the_audit_alone_is_shown_it_alone(person: Callable[..., Client]) -> None:
    page = head(person("view_audit"), AUDIT)
    assert re.findall(r'<li><a href="([^"]+)"', page) == [AUDIT]
    assert "Recorded up to" not in page


def test_counts_are_of_the_lists_that_they_lead_to(viewer: Client) -> None:
    for state in ("running", "running", "queued", "scheduled", "retrying", "succeeded"):
        a_run(state)
    a_dead_job()
    counts = re.findall(
        r'<li><a href="([^"]+)"><span class="jobs-state jobs-state-(\w+)">.*?<strong>(\d+)<', head(viewer)
    )
    assert [(state, int(count)) for _address, state, count in counts] == [
        *(("running", 2), ("queued", 1), ("scheduled", 1), ("retrying", 1), ("dead", 1)),
    ]
    for address, _state, count in counts:
        rows = viewer.get(address).content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
        assert rows.count("<tr") == int(count)


def test_the_shell_asks_little_and_redis_once(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    execute = type(redis().pipeline()).execute
    monkeypatch.setattr(type(redis().pipeline()), "execute", lambda *a, **k: (sent.append(1), execute(*a, **k))[1])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        shell.seen()
    assert len(queries) <= SHELL_QUERIES
    assert len(sent) == 1
    with CaptureQueriesContext(connection) as queries:
        shell.seen()
    assert (len(queries), len(sent)) == (0, 1)


def test_what_somebody_does_is_counted_at_once(operator: Client) -> None:
    dead = a_dead_job()
    assert "<strong>1</strong>" in head(operator)
    operator.post(reverse("admin:jobs_jobrun_act", args=[dead.run_id, "discard"]), {"reason": "gone"})
    assert "<strong>1</strong>" not in head(operator)


def test_a_recorder_that_is_behind_is_told(viewer: Client) -> None:
    assert "behind" not in text_of(head(viewer))
    now_ms = int(timezone.now().timestamp() * 1000)
    redis().xadd(keys.JOURNAL, {"e": "{}"}, id=f"{now_ms - 150_000}-0")
    shell.forget()
    page = head(viewer)
    assert "The recorder is 2 min 30 s behind." in text_of(page)
    told = re.search(r'Recorded up to</?[^<]*<time datetime="([^"]+)"|Recorded up to <time datetime="([^"]+)"', page)
    assert told
    assert timezone.now() - shell.seen().recorded_up_to > timedelta(seconds=149)


def test_without_redis_the_page_says_what_that_means(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr("jobs.broker.inspect.journal_now", away)
    a_run("running")
    page = text_of(head(viewer))
    assert "Redis does not answer." in page
    assert "Recorded up to: unknown" in page
    assert "running 1" in page


def test_an_open_incident_is_told(viewer: Client) -> None:
    now = timezone.now()
    facts = {"value": 1200.0, "worst": 1200.0, "limit": 1000.0, "opened_at": now, "seen_at": now}
    Incident.objects.create(kind="waiting", scope="<b>default</b>", severity="critical", **facts)
    page = head(viewer)
    assert "Open incident: Too many runs wait in the queue &lt;b&gt;default&lt;/b&gt;: 1,200 (limit 1,000)" in text_of(
        page
    )


def test_a_panel_that_fails_leaves_the_others(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("jobs.admin.shell.open_incidents", broken)
    a_run("running")
    assert "running 1" in text_of(head(viewer))


# In the transaction around a test, PostgreSQL is not interrupted.
@pytest.mark.django_db(transaction=True)
def test_a_panel_has_a_time_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    monkeypatch.setattr(panels, "LIMIT_SECONDS", 0.1)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    def ask() -> int:
        with connection.cursor() as cursor:
            cursor.execute(endless)
            return int(cursor.fetchone()[0])

    panel = panels.load(ask)
    assert panel.value is None
    assert "took too long" in panel.problem
    assert JobRun.objects.count() == 0


def test_the_apps_index_is_the_overview(viewer: Client, stranger: Client) -> None:
    assert reverse("admin:jobs_overview") == INDEX
    assert b"<h1>Overview</h1>" in viewer.get(INDEX).content
    assert stranger.get(INDEX).status_code == 403
