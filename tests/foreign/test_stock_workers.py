"""Workers and schedulers of stock RQ on our queues are named, ours are not."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from rq import Queue, Worker
from rq.scheduler import RQScheduler

from jobs import conf
from jobs.broker import stock
from jobs.broker.connection import client
from jobs.checks import check_deployment, check_server, check_settings
from jobs.worker.registration import Registration


def queues() -> list[Queue]:
    return [Queue("default", connection=client())]


def warnings_of(check) -> list[str]:
    return [warning.id for warning in check()]


def test_a_stock_worker_is_named() -> None:
    worker = Worker(queues(), name="old-1", connection=client())
    worker.register_birth()
    assert stock.found(conf.queue_names()) == ['worker "old-1" on default']
    assert "jobs.W021" in warnings_of(check_server)
    worker.register_death()
    assert stock.found(conf.queue_names()) == []


def test_a_stock_scheduler_is_named() -> None:
    scheduler = RQScheduler(queues(), connection=client())
    assert scheduler.acquire_locks() == {"default"}
    assert stock.found(conf.queue_names()) == ["scheduler on default"]


def test_our_own_workers_are_not() -> None:
    registration = Registration("ours", ["default"])
    registration.birth()
    assert stock.found(conf.queue_names()) == []
    client().delete("rq:worker:ours")
    registration.beat(busy=0)
    assert stock.found(conf.queue_names()) == []


def test_a_damaged_list_of_workers_names_nobody() -> None:
    client().set("rq:workers:default", "x")
    client().sadd("rq:workers:low", "rq:worker:gone", b"\xff")
    assert stock.found(conf.queue_names()) == []


@pytest.mark.django_db(transaction=True)
def test_a_worker_of_ours_says_so_when_it_starts(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr("jobs.management.commands.rqworker.Supervisor.run", lambda self: None)
    Worker(queues(), name="old-1", connection=client()).register_birth()
    call_command("rqworker", "default")
    assert 'worker "old-1" on default' in capsys.readouterr().err


def test_reading_pickles_is_a_warning_of_a_deployment(jobs_settings) -> None:
    jobs_settings(METRICS_TOKEN="known to the scraper")
    assert warnings_of(check_deployment) == []
    jobs_settings(METRICS_TOKEN="known to the scraper", FOREIGN_PICKLE=True)
    assert warnings_of(check_deployment) == ["jobs.W020"]


def test_a_queue_may_be_pickled_while_that_is_opted_into(settings, jobs_settings) -> None:
    settings.RQ_QUEUES = {name: {"URL": options["URL"]} for name, options in conf.queues().items()}
    assert "jobs.E003" in warnings_of(check_settings)
    jobs_settings(FOREIGN_PICKLE=True)
    assert warnings_of(check_settings) == []


@pytest.mark.parametrize("entry", ["*", "", "shop.", ".shop", "shop tasks", "shop.*.tasks", 7])
def test_what_is_no_module_cannot_be_allowed(jobs_settings, entry) -> None:
    jobs_settings(FOREIGN_JOBS=[entry])
    assert warnings_of(check_settings) == ["jobs.E009"]
