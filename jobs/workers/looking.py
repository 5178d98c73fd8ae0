"""Who works: hosts, their supervisors, their processes and what each runs. Live, or as it was last stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from jobs.broker import fleet
from jobs.broker.fleet import Fleet, ProcessNow, SupervisorNow
from jobs.errors import BrokerUnavailable
from jobs.models import WorkerProcess

# What was last seen longer ago is not shown while Redis is away.
_STORED_SHOWN = timedelta(hours=1)


@dataclass(frozen=True)
class Supervisor:
    """One supervisor with its processes. `now` is its own word, None where it says nothing any more."""

    id: str
    now: SupervisorNow | None
    processes: list[ProcessNow]

    @property
    def name(self) -> str:
        return self.now.name if self.now else self.id.rpartition("/")[0] or self.id

    @property
    def is_live(self) -> bool:
        """Whether it can be asked for something."""
        return self.now is not None


@dataclass(frozen=True)
class Host:
    """One host with its supervisors."""

    name: str
    supervisors: list[Supervisor]


@dataclass(frozen=True)
class Standings:
    """Who works. `answers` says whether Redis does; where not, all is as it was stored, the latest at `stored_at`."""

    hosts: list[Host] = field(default_factory=list)
    answers: bool = True
    stored_at: datetime | None = None

    @property
    def processes(self) -> list[ProcessNow]:
        """All processes."""
        return [one for host in self.hosts for supervisor in host.supervisors for one in supervisor.processes]

    @property
    def releases(self) -> list[str]:
        """The releases that live processes run: more than one is skew, as during a deploy."""
        return sorted({one.release for one in self.processes if not one.is_stale})


def standings() -> Standings:
    """Who works now, and at what. Never raises `BrokerUnavailable`: the last stored beats stand in then."""
    try:
        return Standings(_hosts(fleet.look(with_runs=True)))
    except BrokerUnavailable:
        return _stored()


def live() -> list[ProcessNow]:
    """The processes whose lease has not ended, without what they run. Raises `BrokerUnavailable`."""
    return [one for one in fleet.look().processes if not one.is_stale]


def last_seen() -> datetime | None:
    """The latest beat that was stored, None where none was lately. Asks the database only."""
    return WorkerProcess.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()


def _hosts(seen: Fleet) -> list[Host]:
    words = {one.id: one for one in seen.supervisors}
    ids = {**dict.fromkeys(words), **dict.fromkeys(one.supervisor for one in seen.processes)}
    found = [_supervisor(own_id, words.get(own_id), seen.processes) for own_id in ids]
    return _by_host(found)


def _supervisor(own_id: str, now: SupervisorNow | None, processes: Iterable[ProcessNow]) -> Supervisor:
    return Supervisor(own_id, now, [one for one in processes if one.supervisor == own_id])


def _by_host(supervisors: Iterable[Supervisor]) -> list[Host]:
    hosts: dict[str, list[Supervisor]] = {}
    for one in sorted(supervisors, key=lambda each: (each.name, each.id)):
        hosts.setdefault(_host_of(one), []).append(one)
    return [Host(name, hosts[name]) for name in sorted(hosts)]


def _host_of(one: Supervisor) -> str:
    return one.now.host if one.now else next((process.host for process in one.processes), "")


def _stored() -> Standings:
    rows = list(WorkerProcess.objects.filter(seen_at__gte=timezone.now() - _STORED_SHOWN))
    processes = [_process(row) for row in rows]
    ids: Sequence[str] = list(dict.fromkeys(one.supervisor for one in processes))
    return Standings(
        _by_host(_supervisor(own_id, None, processes) for own_id in ids),
        answers=False,
        stored_at=max((row.seen_at for row in rows), default=None),
    )


def _process(row: WorkerProcess) -> ProcessNow:
    return ProcessNow(
        name=row.name,
        id="",
        host=row.host,
        supervisor=row.supervisor,
        kind=row.kind,
        pid=row.pid,
        queues=tuple(row.queues),
        threads=row.threads,
        busy=row.busy,
        state=row.state,
        release=row.release,
        rss=row.rss,
        done=row.done,
        failed=row.failed,
        started_at=row.started_at,
        seen_at=row.seen_at,
    )
