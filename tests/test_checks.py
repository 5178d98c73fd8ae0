"""What is wrong with the settings is said before a job finds out, with the cure."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from jobs import checks, conf
from jobs.broker import inspect
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer
from tests.engine import make_job

__all__ = ["make_job"]

JSON = "rq.serializers.JSONSerializer"


def found() -> dict[str, str]:
    """Ids of what the settings' check says, with message and hint."""
    return {one.id: f"{one.msg} {one.hint or ''}" for one in checks.check_settings()}


def on_server() -> dict[str, str]:
    return {one.id: f"{one.msg} {one.hint or ''}" for one in checks.check_server()}


def change_queue(settings, name: str = "low", **options) -> None:
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, name: {**settings.RQ_QUEUES.get(name, {}), **options}}


def change_database(monkeypatch, settings, **options) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", {**settings.DATABASES["default"], **options})


def test_our_own_settings_have_no_fault():
    assert found() == {}


def test_django_runs_our_checks(jobs_settings):
    jobs_settings(LEASES=5)
    assert "jobs.E001" in {one.id for one in run_checks(tags=["jobs"])}


def test_an_unknown_key_is_named_with_its_nearest_neighbour(jobs_settings):
    jobs_settings(LEASES=5)
    assert 'Did you mean "LEASE"' in found()["jobs.E001"]


def test_a_queue_that_a_job_goes_to_must_be_there(make_job):
    make_job(lambda: 1, name="shop.pack", queue="critcal")
    said = found()["jobs.E002"]
    assert "shop.pack" in said
    assert 'Did you mean "critical"' in said


@pytest.mark.parametrize("serializer", ["rq.serializers.PickleSerializer", "pickle", None])
def test_a_queue_that_is_pickled_is_an_error(settings, serializer):
    change_queue(settings, SERIALIZER=serializer)
    assert "low" in found()["jobs.E003"]
    assert JSON in found()["jobs.E003"]


def test_a_queue_whose_serializer_is_left_out_is_an_error(settings):
    settings.RQ_QUEUES = {"low": {"URL": "redis://127.0.0.1/0"}}
    assert "pickle" in found()["jobs.E003"]


def test_the_command_that_wins_must_be_ours(settings):
    others = [app for app in settings.INSTALLED_APPS if app != "django_rq"]
    settings.INSTALLED_APPS = ["django_rq", *others]
    assert "before" in found()["jobs.E004"]


def test_django_rq_must_be_there(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_rq"]
    assert 'Add "django_rq"' in found()["jobs.E004"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("JOB_CLASS", "rq.job.Job"),
        ("QUEUE_CLASS", "django_rq.queues.DjangoRQ"),
        ("WORKER_CLASS", "rq.worker.Worker"),
        ("WORKER_CLASS", None),
        ("WORKER_CLASS", "no.such.Class"),
    ],
)
def test_a_class_of_plain_rq_is_an_error(settings, key, value):
    settings.RQ = {**settings.RQ, key: value}
    assert key in found()["jobs.E006"]


def test_a_subclass_of_ours_will_do(settings):
    settings.RQ = {**settings.RQ, "JOB_CLASS": f"{__name__}.OwnJob"}
    assert found() == {}


class OwnJob(checks.import_string("jobs.rq_classes.JobsJob")):  # type: ignore[misc]
    """A team's own."""


def test_a_middleware_that_is_not_there_is_an_error(jobs_settings):
    jobs_settings(MIDDLEWARE=["jobs.worker.middleware.lgos"])
    assert "lgos" in found()["jobs.E007"]


@pytest.mark.parametrize("path", ["x", ".x", ""])
def test_a_middleware_without_a_module_is_an_error(jobs_settings, path):
    jobs_settings(MIDDLEWARE=[path])
    assert f'"{path}"' in found()["jobs.E007"]


@pytest.mark.parametrize("choices", [None, ["LEASE"], "LEASE"])
def test_jobs_that_is_no_dict_is_an_error_and_counts_as_empty(settings, choices):
    settings.JOBS = choices
    assert f"JOBS is {choices!r}, and must be a dict." in found()["jobs.E001"]
    assert conf.get() == conf.Conf()


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("RELEASE", None, "a string"),
        ("MIDDLEWARE", "jobs.worker.middleware.logs", "a list of dotted paths"),
        ("MIDDLEWARE", [print], "a list of dotted paths"),
        ("DEFAULT_TIMEOUT", 0, "seconds above 0"),
        ("DEFAULT_TIMEOUT", "300", "seconds above 0"),
        ("DEFAULT_TIMEOUT", float("inf"), "up to 2592000 (30 days)"),
        ("DEFAULT_TIMEOUT", 30 * 86_400 + 1, "up to 2592000 (30 days)"),
        ("MAX_ARGUMENT_BYTES", 0, "a whole number above 0"),
        ("MAX_RESULT_BYTES", 1.5, "a whole number above 0"),
        ("SENSITIVE", "card", "a list of strings"),
        ("SENSITIVE", [1], "a list of strings"),
        ("BULK_LIMIT", True, "a whole number above 0"),
        ("KEEP_DAYS", 7, "a dict of states and days"),
        ("KEEP_DAYS", {"dead": -1}, "each a number from 0"),
        ("LEASE", 0.5, "seconds from 1"),
        ("LEASE", float("inf"), "seconds from 1"),
        ("REDIS_CONNECT_TIMEOUT", -1, "seconds above 0"),
        ("REDIS_READ_TIMEOUT", float("nan"), "seconds above 0"),
        ("REDIS_POOL_SIZE", "50", "a whole number above 0"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_what_is_meant(jobs_settings, key, value, meant):
    jobs_settings(**{key: value})
    said = found()
    assert f'JOBS["{key}"] is {value!r}, and must be ' in said["jobs.E009"]
    assert meant in said["jobs.E009"]
    assert said.keys() == {"jobs.E009"}


def test_the_least_values_that_can_be_are_no_error(jobs_settings):
    jobs_settings(LEASE=1, DEFAULT_TIMEOUT=0.1, BULK_LIMIT=1, KEEP_DAYS={"dead": 0}, MIDDLEWARE=(), SENSITIVE=())
    assert found() == {}


def test_the_defaults_are_of_their_kinds():
    assert all(kind.fits(getattr(conf.Conf(), key)) for key, kind in conf.KINDS.items())


def test_an_unknown_state_is_named_with_its_nearest_neighbour(jobs_settings):
    jobs_settings(KEEP_DAYS={"succeded": 3})
    assert 'Did you mean "succeeded"' in found()["jobs.E009"]


@pytest.mark.parametrize("options", [{"URL": "redis://elsewhere/0"}, {"URL": None}])
def test_queues_on_two_servers_are_an_error(settings, options):
    change_queue(settings, **options)
    assert "same URL" in found()["jobs.E008"]


def all_queues_at(settings, **address) -> None:
    settings.RQ_QUEUES = {name: {"SERIALIZER": JSON, **address} for name in settings.RQ_QUEUES}


def test_a_queue_that_is_addressed_by_host_and_port_is_told_to_take_a_url(settings):
    del settings.REDIS_URL
    all_queues_at(settings, HOST="127.0.0.1", PORT=6379)
    assert 'has HOST, PORT in place of a "URL", which is not supported. Set the same URL' in found()["jobs.E008"]
    assert on_server() == {}


def test_the_url_is_made_of_host_and_port_without_the_password(settings):
    all_queues_at(settings, HOST="redis.example.com", PORT=6380, DB=3, USERNAME="ann", PASSWORD="hush")
    assert "rediss" not in found()["jobs.E008"]
    assert '"redis://ann:…@redis.example.com:6380/3"' in found()["jobs.E008"]
    assert "hush" not in found()["jobs.E008"]


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1:6379", "redis:/127.0.0.1", 6379])
def test_a_url_of_another_scheme_is_an_error(settings, url):
    all_queues_at(settings, URL=url)
    assert "begins with none of redis://, rediss://, unix://" in found()["jobs.E008"]
    assert on_server() == {}


def test_a_password_that_spoils_the_url_is_told_of_and_not_shown(settings):
    all_queues_at(settings, URL="redis://:hush#1@127.0.0.1:6379/0")
    assert "%-encoding" in found()["jobs.E008"]
    assert "hush" not in found()["jobs.E008"]
    assert on_server() == {}


@pytest.mark.parametrize("url", ["rediss://cache/1", "unix:///run/valkey.sock?db=1", "redis://:a%23b@cache:6380"])
def test_a_url_that_redis_knows_is_no_error(settings, url):
    all_queues_at(settings, URL=url)
    assert found() == {}


@pytest.mark.parametrize("queues", [{}, None, ["default"]])
def test_queues_that_are_missing_are_one_error(settings, queues):
    settings.RQ_QUEUES = queues
    said = [one.msg for one in checks.check_settings()]
    assert said == ["RQ_QUEUES is missing or empty: no job has a queue."]
    assert on_server() == {}


def test_a_server_that_may_evict_is_told_of():
    client().config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "noeviction" in on_server()["jobs.W001"]
    finally:
        client().config_set("maxmemory-policy", "noeviction")
    assert "jobs.W001" not in on_server()


def test_a_server_that_keeps_nothing_over_a_restart_is_told_of():
    assert "appendonly yes" in on_server()["jobs.W007"]


def test_a_new_enough_server_is_not_told_of():
    assert "jobs.W002" not in on_server()


@pytest.mark.parametrize(("version", "told"), [("6.0.16", True), ("6.2.0", False), ("7.2.4", False), ("5.0", True)])
def test_an_old_server_is_told_of(version, told):
    found = inspect.unfit({"redis_version": version, "maxmemory_policy": "noeviction", "aof_enabled": 1})
    assert [one.check for one in found] == (["jobs.W002"] if told else [])


def test_a_server_that_is_not_there_is_a_warning_and_no_crash(settings):
    server = EmbeddedServer()
    server.start()
    for name in settings.RQ_QUEUES:
        change_queue(settings, name, URL=server.url)
    server.stop()
    said = on_server()["jobs.W006"]
    assert "No such file or directory. Check that it runs and that the URL in RQ_QUEUES is right." in said


@pytest.mark.parametrize("options", [{}, {"transaction_mode": None}, {"transaction_mode": "DEFERRED"}])
def test_sqlite_whose_transactions_cannot_wait_is_a_warning(monkeypatch, settings, options):
    change_database(monkeypatch, settings, ENGINE="django.db.backends.sqlite3", OPTIONS=options)
    assert '"default"' in found()["jobs.W022"]
    assert '"transaction_mode": "IMMEDIATE"' in found()["jobs.W022"]


def test_sqlite_that_waits_and_other_databases_have_no_fault(monkeypatch, settings):
    change_database(
        monkeypatch, settings, ENGINE="django.db.backends.sqlite3", OPTIONS={"transaction_mode": "immediate"}
    )
    assert found() == {}
    change_database(monkeypatch, settings, ENGINE="django.db.backends.postgresql", OPTIONS={})
    assert found() == {}


@pytest.mark.parametrize(
    ("missing", "check"),
    [("ContentSecurityPolicyMiddleware", "jobs.W005"), ("jobs.middleware.DatabaseAway", "jobs.W023")],
)
def test_middleware_that_pages_should_not_be_served_without_is_named(settings, missing, check):
    assert check not in {one.id for one in checks.check_deployment()}
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith(missing)]
    assert check in {one.id for one in checks.check_deployment()}


def test_a_pattern_that_may_take_for_ever_is_refused(jobs_settings):
    jobs_settings(REDACT_PATTERNS=[r"(\w+\s?)+!"])
    assert "repeats what repeats" in found()["jobs.E009"]


def test_a_pool_that_a_worker_would_fork_is_a_warning(monkeypatch, settings):
    assert "jobs.W003" not in {one.id for one in checks.check_deployment()}
    change_database(monkeypatch, settings, ENGINE="django.db.backends.postgresql", OPTIONS={"pool": True})
    assert "jobs.W003" in {one.id for one in checks.check_deployment()}


def test_metrics_without_a_token_are_a_warning_where_they_are_served(jobs_settings, settings):
    assert "jobs.W004" in {one.id for one in checks.check_deployment()}
    jobs_settings(METRICS_TOKEN="known to the scraper")
    assert "jobs.W004" not in {one.id for one in checks.check_deployment()}
    jobs_settings(METRICS_TOKEN="")
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert "jobs.W004" not in {one.id for one in checks.check_deployment()}
