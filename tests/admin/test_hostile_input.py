"""What nobody types by hand: every page answers it, and none with an error of ours."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from jobs.models import AuditEntry, DeadJob, Effect, QueuePause, RunState
from tests.admin.rows import a_dead_job, a_run, an_effect

RUNS = reverse("admin:jobs_jobrun_changelist")
DEAD = reverse("admin:jobs_deadjob_changelist")
EMAILS = reverse("admin:jobs_sentemail_changelist")
AUDIT = reverse("admin:jobs_auditentry_changelist")
RETRY = reverse("admin:jobs_deadjob_bulk", args=["retry"])
EDGES = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")


# NUL, which PostgreSQL refuses in any text.


@pytest.mark.parametrize(
    ("address", "field"),
    [
        *[(RUNS, field) for field in ("q", "job", "queue")],
        *[(address, field) for address in (DEAD, RETRY) for field in ("job", "queue", "error")],
        (EMAILS, "q"),
        *[(AUDIT, field) for field in ("actor", "action", "outcome", "target")],
    ],
)
def test_a_nul_in_a_question_is_as_if_it_were_not_there(operator: Client, address: str, field: str) -> None:
    answer = operator.get(address, {field: "a\0b"})
    assert answer.status_code == 200
    assert "\0" not in answer.content.decode()


def test_a_nul_in_a_search_for_arguments_finds_nothing(operator: Client) -> None:
    for text in ("args.order_id:\0", "arg:\0", "error:\0", "id:\0"):
        assert operator.get(RUNS, {"q": text}).status_code == 200


def test_a_nul_in_a_reason_is_not_kept(operator: Client) -> None:
    buried = a_dead_job()
    operator.post(reverse("admin:jobs_jobrun_payload", args=[buried.run_id]), {"reason": "a\0b"})
    operator.post(reverse("admin:jobs_jobrun_act", args=[buried.run_id, "discard"]), {"reason": "c\0d"})
    assert DeadJob.objects.get().note == "cd"
    assert set(AuditEntry.objects.values_list("reason", flat=True)) == {"ab", "cd"}


def test_a_nul_in_the_address_of_a_django_rq_page_is_not_kept(operator: Client) -> None:
    a_run(RunState.QUEUED)
    address = reverse("admin:django_rq_delete_job", args=[0, "a\0b"])
    assert operator.post(address).status_code == 403
    assert AuditEntry.objects.get().target == "0 ab"
    assert operator.get(reverse("admin:django_rq_job_detail", args=[0, "a\0b"])).status_code == 404


def test_half_a_character_in_a_question_is_as_if_none_were_asked_for(operator: Client) -> None:
    # A browser sends none, and an encoding of the asker's choice brings it about.
    odd = "text/plain; charset=raw_unicode_escape"
    assert operator.get(f"{RUNS}?q=%5Cud800&worker=%5Cud800", headers={"content-type": odd}).status_code == 200
    assert operator.get(f"{AUDIT}?actor=%5Cud800", headers={"content-type": odd}).status_code == 200


# Questions that a database's parser would choke on.


@pytest.mark.parametrize(
    "text",
    [
        *[f"args.order_id:{number}" for number in ("NaN", "Infinity", "-Infinity", "1e999", "9" * 900)],
        "args" + ".a" * 1500 + ":1",
        "args" + ".a" * 10 + ":1",
        *[f"args.{place}:1" for place in ("-1", "0", "2147483647", "2147483648", "99999999999999999999")],
        "a " * 1500,
        "arg:1 " * 20,
        '"' * 2000,
    ],
    ids=lambda text: text[:30],
)
@pytest.mark.parametrize("address", [RUNS, EMAILS])
def test_a_question_out_of_all_bounds_is_answered(operator: Client, address: str, text: str) -> None:
    a_run(RunState.QUEUED)
    assert operator.get(address, {"q": text}).status_code == 200


# Times and keys beyond what a clock and a column hold.


@pytest.mark.parametrize("moment", EDGES)
@pytest.mark.parametrize("field", ["after", "before"])
def test_a_time_at_the_edge_of_the_calendar_is_refused_in_words(operator: Client, field: str, moment: str) -> None:
    assert b"is no date of a run" in operator.get(RUNS, {field: moment}).content


@pytest.mark.parametrize("moment", [*EDGES, "2026-02-31T00:00:00Z", "soon"])
def test_a_form_with_a_time_that_we_never_wrote_gets_a_preview(operator: Client, moment: str) -> None:
    buried = a_dead_job()
    answer = operator.post(RETRY, {"as_of": moment, "up_to": str(buried.pk), "older_than": "1d"})
    assert answer.status_code == 200
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("key", ["9" * 26, "-" + "9" * 20, str(2**63)])
def test_a_key_that_no_row_can_have_chooses_none(operator: Client, key: str) -> None:
    buried = a_dead_job()
    asked = {"chosen": "1", "id": key}
    assert operator.get(RETRY, asked).status_code == 200
    form = {**asked, "up_to": str(buried.pk), "as_of": "2100-01-01T00:00:00Z", "count": "1"}
    assert operator.post(RETRY, form).status_code == 302
    assert DeadJob.objects.get().resolution == ""
    assert operator.get(DEAD, {"older": key}).status_code == 200


@pytest.mark.parametrize("moment", [*EDGES[1:], "9999-12-31T23:59", "99999999999999d"])
def test_nothing_lasts_until_the_end_of_the_calendar(operator: Client, moment: str) -> None:
    pause = reverse("admin:jobs_queuepause_act", args=["pause", "default"])
    answer = operator.post(pause, {"reason": "they move", "until": moment})
    assert (answer.status_code, QueuePause.objects.exists()) == (200, False)


@pytest.mark.parametrize("moment", EDGES)
def test_a_marker_of_the_edge_of_the_calendar_is_another_one(operator: Client, moment: str) -> None:
    marker = an_effect()
    release = reverse("admin:jobs_effect_act", args=[marker.pk, "release"])
    answer = operator.post(release, {"reason": "wanted", "state": "claimed", "claimed_at": moment})
    assert answer.status_code == 302
    assert Effect.objects.filter(pk=marker.pk).exists()
