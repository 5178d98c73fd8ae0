"""Says why a run is not running: a title that stays the same, and a sentence with its evidence. Looks at nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.policy.reasons import Keeper, Reason, Why
from jobs.policy.spans import in_words
from jobs.policy.whereabouts import Holder
from jobs.why.titles import title_of


@dataclass(frozen=True)
class Told:
    """A reason for people. `code` is what tests and styles know it by, `text` its evidence, `cure` what helps."""

    code: str
    title: str
    text: str
    cure: str = ""
    since: datetime | None = None
    until: datetime | None = None
    run: str = ""


def told(reason: Reason) -> Told:
    """A reason in the reader's language."""
    text, cure = _WORDS[reason.why](reason.facts)
    return Told(
        code=reason.why.value,
        title=title_of(reason.why),
        text=text,
        cure=cure,
        since=reason.since,
        until=reason.until,
        run=_run_of(reason),
    )


Words = tuple[str, str]
Facts = dict[str, Any]


def _run_of(reason: Reason) -> str:
    """The other run that is to blame, if one is."""
    keeper, holders = reason.facts.get("keeper"), reason.facts.get("holders") or ()
    if isinstance(keeper, Keeper) and keeper.run:
        return keeper.run
    if holders and isinstance(holders[0], Holder):
        return holders[0].run
    return str(reason.facts.get("run", ""))


def _by(keeper: Keeper) -> str:
    """`by ada: deploy of the gateway`, as far as that is known."""
    who = _("by %(who)s") % {"who": keeper.actor} if keeper.actor else ""
    return ": ".join(filter(None, [who, keeper.reason]))


def _redis_away(facts: Facts) -> Words:
    return _("Nothing starts until it does. What was asked for is kept, and pushed then."), _("Start Redis again.")


def _not_pushed(facts: Facts) -> Words:
    text = _("Redis does not have it yet. Who asked for it pushes it after the commit, or else the relay does.")
    return text, _("If this takes longer than seconds, look whether a worker runs: its recording process is the relay.")


def _retry_later(facts: Facts) -> Words:
    error = ": ".join(filter(None, [facts["error"].rpartition(".")[2], facts["message"]]))
    text = _("Attempt %(attempt)s of %(most)s failed (%(error)s).") % {**facts, "error": error or "?"}
    return text, _("Run it now, or wait.")


def _lock(facts: Facts) -> Words:
    keeper = facts.get("keeper")
    if keeper is None or not keeper.actor:
        return _("The lock was held when it was tried. It is free by now."), _("It is tried again by itself.")
    text = _("The lock %(name)s is held by %(holder)s.") % {"name": keeper.name, "holder": keeper.actor}
    return text, _("It is tried again by itself. Stop the run that holds the lock, or release it if that run is gone.")


def _circuit(facts: Facts) -> Words:
    keeper = facts.get("keeper")
    if keeper is None or keeper.phase == "closed":
        return _("The circuit was open when it was tried."), _("It is tried again by itself.")
    text = _("The circuit %(name)s is %(phase)s %(by)s") % {
        "name": keeper.name,
        "phase": keeper.phase or _("open"),
        "by": _by(keeper),
    }
    cure = _("Its runs wait until a probe comes through, and burn no attempt. A person can close it.")
    return text.strip() + ".", cure


def _unknown_job(facts: Facts) -> Words:
    if facts.get("here"):
        text = _("The release that shows this page has no job of this name.")
    else:
        text = _("The workers' release had no job of this name. It is tried again for an hour, and dead then.")
    return text, _("Deploy the release that has it to the workers, or give the job its old name.")


def _database_away(facts: Facts) -> Words:
    return _("The database could not be reached when it was tried. That burnt no attempt."), _("Look at the database.")


def _put_off(facts: Facts) -> Words:
    return (facts["message"] or _("What it needs is not there yet.")).rstrip(".") + ".", _(
        "It is tried again by itself; being put off counts as no attempt."
    )


def _due_later(facts: Facts) -> Words:
    return _("Its time has not come."), _("Run it now, or wait.")


def _paused(facts: Facts) -> Words:
    keeper = facts["keeper"]
    text = _("%(queue)s was paused %(by)s") % {"queue": facts["queue"], "by": _by(keeper)}
    return text.strip() + ".", _("Resume the queue.")


def _not_compared(facts: Facts) -> Words:
    text = _("Redis was restarted, emptied or replaced, and was not compared with the rows since: nothing is claimed.")
    return text, _recorder_cure(facts)


def _journal_full(facts: Facts) -> Words:
    text = _("%(length)s entries wait to be stored, of %(limit)s at the most: nothing is claimed before.") % facts
    return text, _recorder_cure(facts)


def _recorder_cure(facts: Facts) -> str:
    if facts["has_recorder"]:
        return _("A recording process is at it. If this lasts, look at its log and at the database.")
    return _("No recording process lives: start a worker.")


def _no_worker(facts: Facts) -> Words:
    return _("No worker process lives, for any queue."), _("Start one: manage.py rqworker %(queue)s") % facts


def _unserved(facts: Facts) -> Words:
    text = ngettext(
        "%(live)s worker process lives, and it does not work on %(queue)s.",
        "%(live)s worker processes live, and none of them works on %(queue)s.",
        facts["live"],
    )
    return text % facts, _("Start one that does: manage.py rqworker %(queue)s") % facts


def _quiet(facts: Facts) -> Words:
    text = _("All workers of %(queue)s were told to be quiet (%(names)s): they end what they run and take no more.")
    return text % {**facts, "names": ", ".join(facts["names"])}, _("Start another one, or restart these.")


def _fuse(facts: Facts) -> Words:
    keeper = facts.get("keeper")
    if keeper is None:
        return _("Fuse %(number)s had caught it, and has ended: it starts soon.") % facts, ""
    text = _("Fuse %(number)s (%(action)s) keeps it from starting %(by)s") % {
        "number": facts["number"],
        "action": keeper.phase,
        "by": _by(keeper),
    }
    return text.strip() + ".", _("Lift the fuse.")


def _isolated(facts: Facts) -> Words:
    text = _("It was in a process that died, and runs again alone, in a process of its own.")
    if facts["ahead"]:
        count = facts["ahead"]
        more = ngettext("%(count)s other suspect is ahead of it.", "%(count)s other suspects are ahead of it.", count)
        text = f"{text} {more % {'count': count}}"
    return text, _("Nothing, unless no worker of its queue lives.")


def _parent(facts: Facts) -> Words:
    text = _("It waits for run %(run)s, which is %(state)s.") % facts
    return text, _("It starts when that has finished.")


def _parent_dead(facts: Facts) -> Words:
    text = _("It waits for run %(run)s, which is %(state)s and will not finish by itself.") % facts
    return text, _("Retry that run, or cancel this one.")


def _slot(facts: Facts) -> Words:
    text = _("%(limit)s: %(used)s of %(most)s at once are taken.") % facts
    for holder in facts["holders"][:1]:
        text += " " + _("Run %(run)s on %(worker)s has one.") % {"run": holder.run, "worker": holder.worker}
    return f"{text} {_ahead_in_lane(facts)}".strip(), _("It starts when one of them ends.")


def _rate_limit(facts: Facts) -> Words:
    text = _("%(limit)s: %(used)s of %(most)s in %(seconds)s s have started.") % {
        **facts,
        "seconds": f"{facts['seconds']:g}",
    }
    return f"{text} {_ahead_in_lane(facts)}".strip(), _("It starts when the window has room.")


def _ahead_in_lane(facts: Facts) -> str:
    count = facts["ahead"]
    if count is None:
        return _("Many are ahead of it in its lane.")
    if not count:
        return _("It is the first of its lane.")
    text = ngettext("%(count)s run is ahead of it in its lane.", "%(count)s runs are ahead of it in its lane.", count)
    return text % {"count": count}


def _lost(facts: Facts) -> Words:
    text = _("Redis has it in no queue, and nobody holds it.")
    if facts["kind"] not in ("hash", "none"):
        text = _("Its key in Redis is in use for something else.")
    return text, _("The sweep of the recording process puts it back by itself, if a worker runs.")


def _ahead(facts: Facts) -> Words:
    count = facts["count"]
    text = ngettext("%(count)s run of %(queue)s starts before it", "%(count)s runs of %(queue)s start before it", count)
    text = text % {**facts, "count": f"{count:,}" + ("+" if facts["is_more"] else "")}
    if facts["per_second"]:
        return f"{text}, {_rate(facts['per_second'])}.", _("More workers make it faster.")
    return _("%(text)s; none has started in the last minutes.") % {"text": text}, _("Look at the workers of the queue.")


def _rate(per_second: float) -> str:
    if per_second >= 0.1:
        return _("at %(rate)s a second") % {"rate": f"{per_second:.1f}"}
    return _("at %(rate)s an hour") % {"rate": f"{per_second * 3600:.0f}"}


def _next(facts: Facts) -> Words:
    if facts["are_busy"]:
        return _("It starts when a thread of a worker of %(queue)s is free.") % facts, ""
    return _("Nothing keeps it: a worker of %(queue)s takes it in a moment.") % facts, ""


def _recorder_behind(facts: Facts) -> Words:
    text = _("What happened since is not shown here yet: %(length)s entries wait to be stored.") % facts
    return text, _recorder_cure(facts)


def _running(facts: Facts) -> Words:
    return _("Attempt %(attempt)s of %(most)s, on %(worker)s.") % {**facts, "worker": facts["worker"] or "?"}, ""


def _stopping(facts: Facts) -> Words:
    return _("Somebody asked for that; it ends at its next safe place, or is struck."), ""


def _lease_ended(facts: Facts) -> Words:
    text = _("%(worker)s has it, and says nothing any more. It is taken back as soon as any worker lives.") % facts
    return text, _("If no worker lives, start one.")


def _unrecorded(facts: Facts) -> Words:
    return _("Redis says that it is %(state)s. The recorder has not stored it yet.") % facts, ""


def _unique(facts: Facts) -> Words:
    return _("Run %(run)s of this unique job is pending, so this one cannot be retried.") % facts, _(
        "Wait for its end, or cancel it."
    )


def _dead(facts: Facts) -> Words:
    text = _("It was given up at attempt %(attempt)s of %(most)s, and waits for a person.") % facts
    return text, _("Retry it once the cause is mended, or discard it.")


def _ended(facts: Facts) -> Words:
    words = {
        "succeeded": _("It succeeded at attempt %(attempt)s of %(most)s."),
        "discarded": _("It was discarded: it ended without an error, and is not tried again."),
        "cancelled": _("It was cancelled, and is not tried again."),
    }
    return words.get(facts["state"], "%(state)s") % facts, ""


_WORDS: dict[Why, Callable[[Facts], Words]] = {
    Why.REDIS_AWAY: _redis_away,
    Why.NOT_PUSHED: _not_pushed,
    Why.RETRY_LATER: _retry_later,
    Why.LOCK: _lock,
    Why.CIRCUIT: _circuit,
    Why.UNKNOWN_JOB: _unknown_job,
    Why.DATABASE_AWAY: _database_away,
    Why.PUT_OFF: _put_off,
    Why.DUE_LATER: _due_later,
    Why.PAUSED: _paused,
    Why.NOT_COMPARED: _not_compared,
    Why.JOURNAL_FULL: _journal_full,
    Why.NO_WORKER: _no_worker,
    Why.QUEUE_UNSERVED: _unserved,
    Why.QUIET: _quiet,
    Why.FUSE: _fuse,
    Why.ISOLATED: _isolated,
    Why.PARENT_DEAD: _parent_dead,
    Why.PARENT: _parent,
    Why.SLOT: _slot,
    Why.RATE_LIMIT: _rate_limit,
    Why.LOST: _lost,
    Why.AHEAD: _ahead,
    Why.NEXT: _next,
    Why.RECORDER_BEHIND: _recorder_behind,
    Why.STOPPING: _stopping,
    Why.LEASE_ENDED: _lease_ended,
    Why.RUNNING: _running,
    Why.ENDED_UNRECORDED: _unrecorded,
    Why.UNIQUE: _unique,
    Why.DEAD: _dead,
    Why.ENDED: _ended,
}


def ago(since: datetime | None, now: datetime) -> str:
    """`for 4 min`, `in 2 h`: for terminals. Empty where it is not known."""
    if since is None:
        return ""
    words = in_words(abs((now - since) // timedelta(seconds=1)))
    return _("for %(length)s") % {"length": words} if since <= now else _("in %(length)s") % {"length": words}
