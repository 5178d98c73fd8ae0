"""E-mails of many runs, processes and threads, and of workers that die between the server's yes and their mark.

The mail goes by SMTP to the demo's mailbox, which counts what it took.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs import dead, markers
from jobs.models import DeadJob, JobAttempt, SentEmail
from orders.partners.mailbox import Mailbox
from tests.partners import mailbox
from tests.sample import jobs as sample
from tests.scenarios.workers import ROOT, Workers, wait_until

__all__ = ["mailbox"]

pytestmark = pytest.mark.slow

# Fifty threads of a process, which begin together with those of the others.
SEND = r"""
import sys, threading, django
django.setup()
from django.db import connection
from jobs import PutOffJob
from tests.sample.jobs import letter
from jobs.emails import send_once
gate = threading.Barrier(50)

def send():
    gate.wait()
    try:
        answer = send_once("letter", "ann@example.com", "a", letter)
    except PutOffJob:
        answer = "later"
    sys.stdout.write(f"{answer}\n")
    connection.close()

print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=send) for _ in range(50)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def environment(mailbox: Mailbox) -> dict[str, str]:
    return {"EMAIL_URL": mailbox.smtp_url, "MAILBOX_URL": mailbox.url}


def test_of_two_hundred_sendings_at_once_by_four_processes_one_mail_comes(workers: Workers, mailbox: Mailbox) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    known = {**workers.environment(), **environment(mailbox)}
    sending = [subprocess.Popen([sys.executable, "-c", SEND], cwd=ROOT, env=known, **pipes) for _ in range(4)]
    for process in sending:
        assert process.stdout.readline() == "ready\n"
    for process in sending:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [line for process in sending for line in process.communicate(timeout=90)[0].split()]
    assert len(answers) == 200
    assert answers.count("True") == 1
    assert set(answers) <= {"True", "False", "later"}
    assert len(mailbox.messages()) == 1
    assert SentEmail.objects.get().state == "sent"


def test_of_two_hundred_runs_that_send_one_mail_one_does_and_none_burns_an_attempt(
    workers: Workers, mailbox: Mailbox
) -> None:
    runs = sample.send_letter.using(attempts=1).enqueue_many([("a",)] * 200)
    workers.start("--processes", "2", "--concurrency", "20", **environment(mailbox))
    wait_until(lambda: all(run.state == "succeeded" for run in runs), seconds=90, what="all runs to succeed")
    assert len(mailbox.messages()) == 1
    assert sum(run.result for run in runs) == 1


@pytest.mark.parametrize(
    ("in_doubt", "mails", "state"),
    [("send", 2, "succeeded"), ("ask", 1, "dead"), ("look up", 1, "succeeded")],
)
def test_a_worker_that_is_killed_after_sending_and_before_marking_is_followed_by_what_was_chosen(
    workers: Workers, mailbox: Mailbox, in_doubt: str, mails: int, state: str
) -> None:
    run = sample.send_letter.enqueue("a", in_doubt, dies=True)
    workers.start("--concurrency", "1", **environment(mailbox))
    wait_until(lambda: run.state == state, seconds=60, what=f"the run to be {state}")
    assert JobAttempt.objects.filter(run=run.id, outcome="crashed").count() == 1
    assert len(mailbox.messages()) == mails
    assert SentEmail.objects.get().state == ("claimed" if state == "dead" else "sent")


def test_a_person_who_is_asked_decides_and_the_retried_run_goes_by_it(workers: Workers, mailbox: Mailbox) -> None:
    run = sample.send_letter.enqueue("a", "ask", dies=True)
    workers.start("--concurrency", "1", **environment(mailbox))
    wait_until(lambda: run.state == "dead", seconds=60, what="the run to be dead")
    burial = DeadJob.objects.get()
    assert burial.error_class.endswith("EmailInDoubt")
    assert "mark it as done" in burial.error_message
    markers.mark_done(SentEmail.objects.get(), {}, actor="ann", reason="it is in the log", force=True)
    dead.requeue(burial, actor="ann")
    wait_until(lambda: run.state == "succeeded", seconds=60, what="the retried run to succeed")
    assert (len(mailbox.messages()), run.result) == (1, False)
