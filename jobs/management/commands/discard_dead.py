"""`manage.py discard_dead`: end dead jobs; for some days that can be undone."""

from jobs import dead
from jobs.management.resolving import ResolveDead
from jobs.models.bulk import BulkVerb


class Command(ResolveDead):
    help = "Discard dead jobs that match: they never run again. Their records are kept, with your reason."
    word = "discard"
    past = "discarded"
    needs_reason = True
    verb = dead.discard_all
    verb_of_many = BulkVerb.DISCARD
