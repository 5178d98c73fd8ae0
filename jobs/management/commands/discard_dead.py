"""`manage.py discard_dead`: end dead jobs for good."""

from jobs import dead
from jobs.management.resolving import ResolveDead


class Command(ResolveDead):
    help = "Discard dead jobs that match: they never run again. Their records are kept, with your reason."
    word = "discard"
    past = "discarded"
    needs_reason = True
    verb = dead.discard_all
