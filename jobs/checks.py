"""System checks: what is wrong with the settings, before a job finds out. Those that ask the server need `--deploy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from jobs import conf, registry
from jobs.broker import inspect
from jobs.errors import BrokerUnavailable, did_you_mean

_JSON = "rq.serializers.JSONSerializer"
_OLDEST_SERVER = (6, 2)


def register() -> None:
    """Hand the checks to Django."""
    checks.register(check_settings, "jobs")
    checks.register(check_server, "jobs", deploy=True)


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """What can be told from the settings and the registered jobs alone."""
    return [*_keys(), *_values(), *_states(), *_middleware(), *_queues(), *_app_order(), *_classes()]


def check_server(**kwargs: Any) -> list[checks.CheckMessage]:
    """What only the Redis or Valkey server can tell."""
    try:
        server = inspect.server()
    except BrokerUnavailable as error:
        return [checks.Warning(str(error), id="jobs.W006")]
    return [*_memory(server), *_version(server), *_persistence(server)]


def _keys() -> Iterator[checks.CheckMessage]:
    choices = getattr(settings, "JOBS", {})
    if not isinstance(choices, dict):
        hint = 'Set JOBS = {"RELEASE": "…"}, or leave it out: every key has a default.'
        yield checks.Error(f"JOBS is {choices!r}, and must be a dict.", hint=hint, id="jobs.E001")
    for key in conf.given():
        if key not in conf.KEYS:
            hint = f"Remove it.{did_you_mean(str(key), conf.KEYS)}"
            yield checks.Error(f'JOBS has an unknown key "{key}".', hint=hint, id="jobs.E001")


def _values() -> Iterator[checks.CheckMessage]:
    for key, value in conf.given().items():
        if key in conf.KINDS and not conf.KINDS[key].fits(value):
            hint = f"Correct it, or leave it out: the default is {getattr(conf.Conf(), key)!r}."
            said = f'JOBS["{key}"] is {value!r}, and must be {conf.KINDS[key].words}.'
            yield checks.Error(said, hint=hint, id="jobs.E009")


def _states() -> Iterator[checks.CheckMessage]:
    days = conf.get().KEEP_DAYS
    for state in days if isinstance(days, dict) else ():
        if state not in conf.STATES:
            hint = f"Known are {', '.join(conf.STATES)}.{did_you_mean(str(state), conf.STATES)}"
            yield checks.Error(f'JOBS["KEEP_DAYS"] has an unknown state "{state}".', hint=hint, id="jobs.E009")


def _middleware() -> Iterator[checks.CheckMessage]:
    paths = conf.get().MIDDLEWARE
    for path in paths if conf.KINDS["MIDDLEWARE"].fits(paths) else ():
        try:
            import_string(path)
        # Django's answer to most paths that lead nowhere, and Python's to ".x".
        except (ImportError, ValueError) as error:
            hint = 'Write it as "package.module.function".'
            yield checks.Error(f'JOBS["MIDDLEWARE"] names "{path}": {error}.', hint=hint, id="jobs.E007")


def _queues() -> Iterator[checks.CheckMessage]:
    known = conf.queue_names()
    for name in registry.names():
        queue = registry.get(name).options.queue
        if queue not in known:
            hint = f"Add it to RQ_QUEUES, or change the job.{did_you_mean(queue, known)}"
            yield checks.Error(
                f'The job {name} goes to the queue "{queue}", which is not there.', hint=hint, id="jobs.E002"
            )
    addresses = set()
    for queue, options in getattr(settings, "RQ_QUEUES", {}).items():
        addresses.add(options.get("URL"))
        if options.get("SERIALIZER") not in (_JSON, "json"):
            hint = f'Set "SERIALIZER": "{_JSON}"; the default is pickle, which runs whatever is in Redis.'
            yield checks.Error(f'RQ_QUEUES["{queue}"] is not serialised as JSON.', hint=hint, id="jobs.E003")
    if None in addresses or len(addresses) > 1:
        hint = "Give every queue the same URL; one claim goes over all of a worker's queues."
        yield checks.Error("The queues of RQ_QUEUES are not all at one URL.", hint=hint, id="jobs.E008")


def _app_order() -> Iterator[checks.CheckMessage]:
    apps = list(settings.INSTALLED_APPS)
    if "django_rq" in apps and apps.index("django_rq") < next(
        i for i, app in enumerate(apps) if app.startswith("jobs")
    ):
        hint = 'Move "jobs" before "django_rq".'
        yield checks.Error("django_rq's rqworker command hides ours, which keeps jobs.", hint=hint, id="jobs.E004")


def _classes() -> Iterator[checks.CheckMessage]:
    wanted = {
        "JOB_CLASS": "jobs.rq_classes.JobsJob",
        "QUEUE_CLASS": "jobs.rq_classes.JobsQueue",
        "WORKER_CLASS": "jobs.worker.worker.JobsWorker",
    }
    given = getattr(settings, "RQ", {})
    for key, path in wanted.items():
        if not _is_ours(given.get(key), path):
            hint = f'Set RQ = {{"{key}": "{path}", …}}; RQ\'s own class loses jobs when a worker is killed.'
            yield checks.Error(f'RQ["{key}"] is not Jobsite\'s.', hint=hint, id="jobs.E006")


def _is_ours(given: Any, path: str) -> bool:
    try:
        given_class = import_string(given) if isinstance(given, str) else given
    except ImportError:
        return False
    return isinstance(given_class, type) and issubclass(given_class, import_string(path))


def _memory(server: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    policy = server.get("maxmemory_policy")
    if policy != "noeviction":
        hint = "Set maxmemory-policy noeviction, or use a server of its own for jobs."
        yield checks.Warning(f"The server may evict jobs: its policy is {policy}.", hint=hint, id="jobs.W001")


def _version(server: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    version = tuple(int(part) for part in str(server.get("redis_version", "0.0")).split(".")[:2])
    if version < _OLDEST_SERVER:
        hint = "Use Valkey, or Redis 6.2 or newer."
        yield checks.Warning(f"The server's version {version} is too old.", hint=hint, id="jobs.W002")


def _persistence(server: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    if not server.get("aof_enabled"):
        hint = "Set appendonly yes, so that a restart keeps what waits."
        yield checks.Warning("The server keeps no append-only file.", hint=hint, id="jobs.W007")
