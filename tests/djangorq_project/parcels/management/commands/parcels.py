"""Enqueues jobs, and tells what became of them: `everything`, `one deliver P-1`, `look ID …`, `events`."""

import json

import django_rq
from django.core.management.base import BaseCommand

from parcels import tasks
from parcels.models import Event
from parcels.sending import send_everything


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("action", choices=["everything", "one", "look", "events"])
        parser.add_argument("words", nargs="*")

    def handle(self, *args, action, words, **options):
        self.stdout.write(json.dumps(getattr(self, action)(*words), default=str))

    def everything(self):
        return {name: job.id for name, job in send_everything().items()}

    def one(self, name, *arguments):
        return django_rq.get_queue("default").enqueue(getattr(tasks, name), *map(number_or_text, arguments)).id

    def look(self, *ids):
        return {one: self._told(one) for one in ids}

    def events(self):
        return sorted(str(event) for event in Event.objects.all())

    def _told(self, id):
        queue = django_rq.get_queue("default")
        job = queue.job_class.fetch(id, connection=queue.connection, serializer=queue.serializer)
        failed = job.latest_result() is not None and job.latest_result().exc_string
        return {
            "status": job.get_status().value,
            "result": job.return_value(),
            "error": failed.strip().splitlines()[-1].partition(":")[0] if failed else None,
            "meta": job.get_meta(),
            "retries_left": job.retries_left,
            "description": job.description,
            "in_finished": id in job.finished_job_registry.get_job_ids(),
            "in_failed": id in job.failed_job_registry.get_job_ids(),
        }


def number_or_text(word):
    try:
        return float(word)
    except ValueError:
        return word
