"""One id from a request to all that it brought about."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from jobs import batches, context, current_run
from jobs.callbacks import begun_with
from jobs.context import current_correlation
from jobs.errors import BadOptions
from jobs.middleware import correlation
from jobs.models import Batch, JobRun
from jobs.testing import inline
from tests.engine import make_job as make_job
from tests.sample.jobs import add


def ask(told: str | None = None, view: Any = None) -> tuple[HttpRequest, HttpResponse]:
    headers = {} if told is None else {"X-Request-ID": told}
    request = RequestFactory().get("/", headers=headers)
    return request, correlation(view or (lambda request: HttpResponse(current_correlation())))(request)


def test_a_request_that_names_itself_keeps_its_name():
    _, response = ask("edge-17:a.b")
    assert (response.content, response["X-Request-ID"]) == (b"edge-17:a.b", "edge-17:a.b")
    assert current_correlation() == ""


@pytest.mark.parametrize("told", [None, "", "a b", "callback of x", "-dash", "x" * 81, "a\tb", "ü", "<script>"])
def test_a_request_without_a_well_formed_name_gets_a_new_one(told):
    response = ask(told)[1]
    assert response["X-Request-ID"] == response.content.decode() != told
    assert len(response["X-Request-ID"]) == 32


def test_two_requests_get_two_names():
    assert ask()[1].content != ask()[1].content


def test_an_async_view_has_it_too_also_in_its_tasks():
    async def view(request):
        inside = await asyncio.gather(*[asyncio.to_thread(current_correlation) for _ in range(2)])
        return HttpResponse(" ".join(inside))

    async def answer():
        return await correlation(view)(RequestFactory().get("/", headers={"X-Request-ID": "edge-1"}))

    response = asyncio.run(answer())
    assert (response.content, response["X-Request-ID"]) == (b"edge-1 edge-1", "edge-1")


@pytest.mark.parametrize("name", ["", "two words", "x" * 81, None, 7])
def test_a_command_cannot_say_what_could_not_be_searched_for(name):
    with pytest.raises(BadOptions, match="pass 1 to 80 letters"):
        context.correlation(name)


@pytest.mark.django_db
def test_what_a_command_says_is_in_the_row_and_ends_with_the_block(make_job):
    job = make_job(lambda: None)
    with context.correlation("import-7"), inline():
        with context.correlation("import-8"):
            assert current_correlation() == "import-8"
        assert current_correlation() == "import-7"
    with context.correlation("import-7"):
        row = job.enqueue().row()
    assert (row.correlation, job.enqueue().row().correlation) == ("import-7", "")


@pytest.mark.django_db
def test_it_goes_from_a_request_to_the_job_and_its_children(make_job):
    seen = []
    grandchild = make_job(lambda: seen.append(current_run().correlation))
    child = make_job(lambda: (seen.append(current_run().correlation), grandchild.enqueue()))
    with inline():
        ask("edge-1", lambda request: HttpResponse(child.enqueue().name))
    assert seen == ["edge-1", "edge-1"]


@pytest.mark.django_db
def test_a_run_that_nothing_came_before_is_what_it_began_with(make_job):
    seen = []

    def parent():
        seen.append(str(current_run().id))
        child.enqueue()

    child = make_job(lambda: seen.append(current_run().correlation))
    with inline():
        make_job(parent).enqueue()
    assert seen[0] == seen[1]


@pytest.mark.django_db
def test_a_job_may_say_otherwise_for_a_part_of_what_it_does(make_job):
    seen = []

    def parent():
        with context.correlation("part-1"):
            child.enqueue()
        seen.append(current_correlation())

    child = make_job(lambda: seen.append(current_correlation()))
    with context.correlation("whole"), inline():
        make_job(parent).enqueue()
    assert sorted(seen) == ["part-1", "whole"]


def test_a_thread_has_it_with_the_context_that_it_is_given():
    seen = []
    with context.correlation("edge-1"):
        bare = threading.Thread(target=lambda: seen.append(current_correlation()))
        carried = threading.Thread(
            target=contextvars.copy_context().run, args=(lambda: seen.append(current_correlation()),)
        )
        for thread in (bare, carried):
            thread.start()
            thread.join()
    assert seen == ["", "edge-1"]


@pytest.mark.django_db
def test_a_batch_and_its_members_carry_it():
    with context.correlation("edge-1"), batches.batch("packing") as opened:
        opened.add(add.prepare(1, 2))
    row = Batch.objects.get(pk=opened.id)
    assert (row.correlation, row.members.get().correlation) == ("edge-1", "edge-1")


@pytest.mark.django_db
def test_what_a_request_brought_about_is_found_by_an_index():
    # In any order: of a table without rows PostgreSQL takes whatever index has the one that is asked for.
    wanted = JobRun.objects.filter(begun_with("edge-1")).order_by()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "jobs_run_correlation" in wanted.explain()


@pytest.mark.django_db
def test_what_a_request_brought_about_has_its_callbacks():
    for name in ("edge-1", "callback of edge-1", "edge-10", ""):
        with_name = add.enqueue(1, 2).row()
        JobRun.objects.filter(pk=with_name.pk).update(correlation=name)
    found = JobRun.objects.filter(begun_with("edge-1")).values_list("correlation", flat=True)
    assert sorted(found) == ["callback of edge-1", "edge-1"]
