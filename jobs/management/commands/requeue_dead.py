"""`manage.py requeue_dead`: give dead jobs a new life."""

from django.core.management.base import CommandParser

from jobs import dead
from jobs.management.options import positive, read
from jobs.management.resolving import ResolveDead
from jobs.models.bulk import BulkVerb
from jobs.policy.ages import parse_age
from jobs.policy.rates import parse_share


class Command(ResolveDead):
    help = "Put dead jobs that match back into their queues, with all their attempts."
    word = "requeue"
    past = "requeued"
    verb = dead.requeue_all
    verb_of_many = BulkVerb.REQUEUE

    def _add_canary_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--canary", type=positive, help="in the background: so many first, and wait for them")
        parser.add_argument(
            "--max-failures", type=read(parse_share), default=0.2, help="stop when more fail again (default: 20%%)"
        )
        parser.add_argument(
            "--max-wait",
            type=read(parse_age),
            metavar="AGE",
            default="5m",
            help="stop when a queue of theirs waits longer (default: 5m)",
        )
