"""Who may ask what of every address of the app. An address that nobody has placed here fails."""

from __future__ import annotations

import gc
import re
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from jobs import roles
from jobs.admin.acting import Action
from jobs.models import AuditEntry
from jobs.policy.roles import LEAST_ROLE, permissions_of
from tests.admin import house
from tests.admin.house import Page

VIEW = "view_console"
# No permission is asked for, by a token or because nothing is told.
ANYBODY = ""
# What django-rq's pages would do is refused to everybody.
NOBODY = "nobody"

# What it takes to act: by the name of the address, and what is asked for there. Where nothing stands, no POST is taken.
ACTS: dict[str, str] = {
    "jobs_jobrun_many cancel": "cancel_job",
    "jobs_jobrun_many run-now": "reschedule_job",
    "jobs_jobrun_many retry": "requeue_job",
    "jobs_jobrun_many discard": "discard_job",
    # Whoever looks may keep what they look for.
    "jobs_jobrun_views": VIEW,
    **{f"jobs_jobrun_view {name}": VIEW for name in house.SLUGS["jobs_jobrun_view"]},
    "jobs_jobrun_export": "export_jobs",
    "jobs_jobrun_new": "enqueue_job",
    "jobs_jobrun_edit": "edit_job",
    "jobs_jobrun_payload": "view_payload",
    "jobs_jobrun_act retry": "requeue_job",
    "jobs_jobrun_retry": "requeue_job",
    "jobs_jobrun_act cancel": "cancel_job",
    "jobs_jobrun_act discard": "discard_job",
    "jobs_jobrun_act undo": "discard_job",
    "jobs_jobrun_act run-now": "reschedule_job",
    "jobs_jobrun_act postpone": "reschedule_job",
    "jobs_jobrun_act stop": "stop_job",
    "jobs_deadjob_undo": "discard_job",
    "jobs_deadjob_bulk retry": "requeue_job",
    "jobs_deadjob_bulk discard": "discard_job",
    **{f"jobs_failurecause_act {name}": "manage_failures" for name in house.SLUGS["jobs_failurecause_act"]},
    "jobs_batch_act cancel": "cancel_job",
    **{f"jobs_workflow_act {name}": "manage_workflow" for name in house.SLUGS["jobs_workflow_act"]},
    **{f"jobs_workflow_act_on_step {name}": "manage_workflow" for name in house.SLUGS["jobs_workflow_act_on_step"]},
    # That of what the action in the house does.
    **{f"jobs_bulkaction_act {name}": "requeue_job" for name in house.SLUGS["jobs_bulkaction_act"]},
    "jobs_recoveryrule_changelist": "manage_recovery",
    **{f"jobs_recoveryrule_act {name}": "manage_recovery" for name in house.SLUGS["jobs_recoveryrule_act"]},
    "jobs_schedule_add": "edit_schedule",
    "jobs_schedule_edit": "edit_schedule",
    "jobs_schedule_revert": "edit_schedule",
    "jobs_schedule_act pause": "pause_schedule",
    "jobs_schedule_act resume": "pause_schedule",
    "jobs_schedule_act run": "run_schedule",
    "jobs_schedule_act remove": "edit_schedule",
    "jobs_schedule_act follow": "edit_schedule",
    "jobs_fuse_add": "manage_fuses",
    "jobs_fuse_lift": "manage_fuses",
    "jobs_circuitsandlocks_circuit open": "manage_circuit",
    "jobs_circuitsandlocks_circuit close": "manage_circuit",
    "jobs_circuitsandlocks_release": "release_lock",
    **{f"jobs_incident_act {name}": "manage_alerts" for name in house.SLUGS["jobs_incident_act"]},
    **{f"jobs_incident_rule {name}": "manage_alerts" for name in house.SLUGS["jobs_incident_rule"]},
    **{f"jobs_effect_act {name}": "release_effect" for name in house.SLUGS["jobs_effect_act"]},
    **{f"jobs_sentemail_act {name}": "release_effect" for name in house.SLUGS["jobs_sentemail_act"]},
    "jobs_queuepause_act pause": "pause_queue",
    "jobs_queuepause_act resume": "pause_queue",
    "jobs_queuepause_act clear": "clear_queue",
    "jobs_workerprocess_act quiet": "quiet_worker",
    "jobs_workerprocess_act stop": "stop_worker",
    "jobs_auditentry_export": "view_audit",
    **{
        f"django_rq_{name}": NOBODY
        for name in (
            *("delete_failed_jobs", "clear", "requeue_all", "delete_job", "requeue_job", "enqueue_job", "stop_job"),
            *(
                "confirm_action",
                "actions",
                "dashboard_add",
                "dashboard_history",
                "dashboard_delete",
                "dashboard_change",
            ),
        )
    },
    # The stock admin's old address of a row.
    "None": NOBODY,
}
# What it takes to look, where that is neither `jobs.view_console` nor what it takes to act there.
LOOKS: dict[str, str] = {
    **dict.fromkeys(("healthz", "readyz"), ANYBODY),
    "jobs_auditentry_changelist": "view_audit",
    # A list with a form on it.
    "jobs_recoveryrule_changelist": VIEW,
    # What django-rq shows unmasked.
    **dict.fromkeys(("django_rq_job_detail", "django_rq_result_detail"), "view_payload"),
}
# They answer a person as anybody without a token.
BY_TOKEN = ("django_rq_home_json", "django_rq_metrics", "metrics")
# That of somebody else is not theirs to change.
OWNED = ("jobs_jobrun_view",)
# Addresses that only look: whoever adds one places it, so that nothing is there by chance.
LISTS_AND_PAGES = {
    *("jobs_jobrun_changelist", "jobs_jobrun_waiting", "jobs_jobrun_change", "jobs_deadjob_changelist"),
    *("jobs_failurecause_changelist", "jobs_failurecause_change", "jobs_batch_changelist", "jobs_batch_change"),
    *("jobs_workflow_changelist", "jobs_workflow_change", "jobs_bulkaction_changelist", "jobs_bulkaction_change"),
    *("jobs_schedule_changelist", "jobs_schedule_change", "jobs_fuse_changelist", "jobs_effect_changelist"),
    *("jobs_incident_changelist", "jobs_incident_change"),
    *("jobs_sentemail_changelist", "jobs_circuitsandlocks_changelist"),
    *("jobs_overview", "jobs_overview_shell"),
    *("jobs_queuepause_changelist", "jobs_queuepause_change", "jobs_workerprocess_changelist"),
    *("jobs_metricminute_changelist", "jobs_metricminute_change"),
    *(f"django_rq_{name}" for name in ("home", "jobs", "queue_details", "finished_jobs", "failed_jobs")),
    *(f"django_rq_{name}" for name in ("scheduled_jobs", "started_jobs", "deferred_jobs", "workers")),
    *(f"django_rq_{name}" for name in ("worker_details", "scheduler_jobs", "cron_scheduler_detail")),
    *("django_rq_cron_job_detail", "django_rq_dashboard_changelist"),
}
# What stands for being let through: the page, what it leads to, nothing there, too late, or not so.
THROUGH = {200, 302, 400, 404, 405, 409}
LOGIN = reverse("admin:login")

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def act_of(page: Page) -> str | None:
    """What it takes to act there, None where nobody acts."""
    return ACTS.get(f"{page.name} {page.slug}".strip())


def look_of(page: Page) -> str:
    """What it takes to look there: a form, on a page of its own, takes what sending it does."""
    return LOOKS.get(page.name) or act_of(page) or (ANYBODY if page.name in LOOKS else VIEW)


def person(*groups: str, is_staff: bool = True) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=is_staff)
    user.groups.set(Group.objects.filter(name__in=[roles.GROUPS[name] for name in groups]))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def asked(client: Client, method: str, page: Page) -> int:
    """The status of an answer, and everything as it was before."""
    with transaction.atomic():
        status = int(getattr(client, method)(page.address).status_code)
        transaction.set_rollback(True)
    return status


@pytest.fixture
def pages() -> list[Page]:
    house.furnish()
    return house.pages()


def test_every_address_and_every_action_has_its_place(pages: list[Page]) -> None:
    placed = {key.partition(" ")[0] for key in ACTS} | LOOKS.keys() | LISTS_AND_PAGES | {*BY_TOKEN}
    assert {page.name for page in pages} - placed == set(), "place it in ACTS, LOOKS or LISTS_AND_PAGES"
    slugs = {slug for slugs in house.SLUGS.values() for slug in slugs} | {key.rpartition("_")[2] for key in ACTS}
    actions = {one.name for one in gc.get_objects() if isinstance(one, Action)}
    assert actions - slugs == set(), "add it to house.SLUGS"


def test_every_permission_named_here_is_one_of_a_role() -> None:
    assert {*ACTS.values(), *LOOKS.values()} - {ANYBODY, NOBODY} <= LEAST_ROLE.keys()


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_is_nobody_is_sent_to_log_in(pages: list[Page], method: str) -> None:
    for page in pages:
        if look_of(page) == ANYBODY or page.name in BY_TOKEN:
            continue
        answer = getattr(Client(raise_request_exception=False), method)(page.address)
        assert answer.status_code == 302, page
        assert answer.headers["Location"].startswith(LOGIN), page


def test_what_anybody_may_ask_tells_nothing_and_takes_no_form(pages: list[Page]) -> None:
    for page in pages:
        if look_of(page) == ANYBODY:
            assert asked(Client(), "get", page) == 200
            assert asked(Client(), "post", page) == 405
        if page.name in BY_TOKEN:
            for who in (Client(), person()):
                assert "foreign" not in who.get(page.address).content.decode()
                assert who.get(page.address).status_code in (200, 401, 403, 404), page


@pytest.mark.parametrize(
    "groups", [[], ["viewer"], ["operator"], ["admin"]], ids=lambda groups: "".join(groups) or "staff"
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_each_role_may_what_its_permissions_say_and_nothing_else(
    pages: list[Page], groups: list[str], method: str
) -> None:
    client, may = person(*groups), permissions_of(groups[0]) if groups else frozenset()
    wrong = [
        (page.address, status, expected)
        for page in pages
        if page.name not in BY_TOKEN
        and (status := asked(client, method, page)) not in (expected := expected_of(page, method, may))
    ]
    assert wrong == []


def expected_of(page: Page, method: str, may: frozenset[str]) -> set[int]:
    """What a person with these permissions is answered."""
    if method == "get":
        look = look_of(page)
        # Forms are part of the console, so they take that as well.
        let = look == ANYBODY or (look in may and (VIEW in may or look == "view_audit"))
        return THROUGH - {405} if let else {403}
    act = act_of(page)
    if act is None:
        # A page that takes no form says so, to whom it would say anything.
        return {405} if look_of(page) == ANYBODY or page.name.startswith("jobs_") or VIEW in may else {403}
    return (THROUGH - {405}) | ({403} if page.name in OWNED else set()) if act in may else {403}


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_what_is_refused_to_a_role_leaves_a_row_in_the_audit(pages: list[Page], role: str) -> None:
    client = person(role)
    refused = [
        page for page in pages if (act := act_of(page)) not in (None, NOBODY) and act not in permissions_of(role)
    ]
    for page in refused:
        before = AuditEntry.objects.filter(outcome="refused").count()
        assert client.post(page.address).status_code == 403
        assert AuditEntry.objects.filter(outcome="refused").count() == before + 1, page


@pytest.mark.parametrize("outside", ["//evil.example/x", "https://evil.example/", "/\\evil.example", "javascript:x()"])
def test_no_address_leads_away_from_the_site(pages: list[Page], outside: str) -> None:
    chief = person("admin")
    fields = dict.fromkeys(("next", "back", "to", "return", "redirect", "url", "_popup"), outside)
    for page in pages:
        for method in ("get", "post"):
            with transaction.atomic():
                joint = "&" if "?" in page.address else "?"
                answer = getattr(chief, method)(f"{page.address}{joint}{urlencode(fields)}", fields)
                transaction.set_rollback(True)
            place = answer.headers.get("Location", "/")
            assert re.match(r"/(?![/\\])", place), (page.address, place)


def test_who_is_not_staff_is_nobody_here(pages: list[Page]) -> None:
    outsider = person("admin", is_staff=False)
    for page in pages:
        if look_of(page) != ANYBODY and page.name not in BY_TOKEN:
            assert asked(outsider, "get", page) == 302, page
