"""`manage.py requeue_dead`: give dead jobs a new life."""

from jobs import dead
from jobs.management.resolving import ResolveDead


class Command(ResolveDead):
    help = "Put dead jobs that match back into their queues, with all their attempts."
    word = "requeue"
    past = "requeued"
    verb = dead.requeue_all
