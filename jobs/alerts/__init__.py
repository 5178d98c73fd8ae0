"""Alerts: rules are looked at twice a minute, and what passes its limit is an incident that people are told of.

1. `observing` reads what rules look at: the tables, and Redis where it answers.
2. `policy.alerting` decides which incidents open, go on or close. `evaluating` stores that, with a notice for each
   channel and change, in one transaction. One process at a time does: who has the turn of the row `AlertCheck`.
3. `sending` claims notices and gives them to their channels, each in a thread of its own. What fails is tried again.

`operating` is what people do, `looking` what they see.
"""

from jobs.alerts.choices import book, book_of, code, is_on, told_by
from jobs.alerts.keeping import is_anything_prunable, prune
from jobs.alerts.looking import Checks, checks, is_silent, last_evaluation, open_incidents, unclosed
from jobs.alerts.operating import acknowledge, edit_rule, revert_rule, silence, silence_rule
from jobs.alerts.watching import Watch

__all__ = [
    "Checks",
    "Watch",
    "acknowledge",
    "book",
    "book_of",
    "checks",
    "code",
    "edit_rule",
    "is_anything_prunable",
    "is_on",
    "is_silent",
    "last_evaluation",
    "open_incidents",
    "prune",
    "revert_rule",
    "silence",
    "silence_rule",
    "told_by",
    "unclosed",
]
