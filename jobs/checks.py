"""System checks: what is wrong with the settings, before a job finds out. Those that ask the server need `--deploy`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import router
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from jobs import conf, error_tracker, registry, timetable, tracing
from jobs.broker import inspect, stock
from jobs.errors import BadSchedule, BrokerUnavailable, did_you_mean
from jobs.models import JobRun
from jobs.policy import alert_choices, limits
from jobs.policy.scheduling import Terms

_JSON = "rq.serializers.JSONSerializer"
_ADDRESS = "redis://127.0.0.1:6379/0"
_OTHER_ADDRESSES = ("HOST", "PORT", "DB", "UNIX_SOCKET_PATH", "USE_REDIS_CACHE", "SENTINELS", "SSL")
_SQLITE_OPTIONS = '{"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"}'
_WRITING = ("IMMEDIATE", "EXCLUSIVE")
# Django's own, django-csp's, and what projects call theirs.
_CSP = re.compile(r"(?i)csp|contentsecuritypolicy")
_DATABASE_AWAY = "jobs.middleware.DatabaseAway"
_SCHEMES = ("redis://", "rediss://", "unix://")


def register() -> None:
    """Hand the checks to Django."""
    checks.register(check_settings, "jobs")
    checks.register(check_server, "jobs", deploy=True)
    checks.register(check_deployment, "jobs", deploy=True)


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """What can be told from the settings and the registered jobs alone."""
    return [
        *_limits(),
        *_keys(),
        *_values(),
        *_alerts(),
        *_states(),
        *_middleware(),
        *_queues(),
        *_addresses(),
        *_apps(),
        *_classes(),
        *_callbacks(),
        *_subjects(),
        *_schedules(),
        *_telemetry(),
        *_database(),
    ]


def check_server(**kwargs: Any) -> list[checks.CheckMessage]:
    """What only the Redis or Valkey server can tell. It is not asked while its address or a value is wrong."""
    if not conf.queue_names() or [*_values(), *_addresses()]:
        return []
    try:
        server = inspect.server()
        return [*_unfit(server), *_stock_workers()]
    except BrokerUnavailable as error:
        return [checks.Warning(str(error), id="jobs.W006")]


def check_deployment(**kwargs: Any) -> list[checks.CheckMessage]:
    """What is meant for a time only, and what pages should not be served without."""
    return [*_pickles(), *_pool(), *_tokens(), *_site_middleware()]


def _pickles() -> Iterator[checks.CheckMessage]:
    if conf.get().FOREIGN_PICKLE is not True:
        return
    hint = 'Once no pickled job waits, set "SERIALIZER" of each queue to JSON\'s, and FOREIGN_PICKLE to False.'
    yield checks.Warning("Whoever can write to Redis can have pickles read.", hint=hint, id="jobs.W020")


def _pool() -> Iterator[checks.CheckMessage]:
    alias = router.db_for_write(JobRun)
    if settings.DATABASES.get(alias, {}).get("OPTIONS", {}).get("pool"):
        hint = 'Leave OPTIONS["pool"] out where rqworker runs; use PgBouncer if you need a pool.'
        said = f'The database "{alias}" uses psycopg\'s pool, which processes that a worker forks would share.'
        yield checks.Warning(said, hint=hint, id="jobs.W003")


def _tokens() -> Iterator[checks.CheckMessage]:
    """Where `/metrics` is served."""
    if conf.get().METRICS_TOKEN or not _serves_metrics():
        return
    hint = 'Set JOBS["METRICS_TOKEN"], and show it to the scraper; or leave it, if nobody scrapes.'
    yield checks.Warning("/metrics has no token: only staff can read it.", hint=hint, id="jobs.W004")


def _serves_metrics() -> bool:
    # A project of workers alone has no addresses.
    if not getattr(settings, "ROOT_URLCONF", ""):
        return False
    try:
        return bool(reverse("jobs:metrics"))
    except NoReverseMatch:
        return False


def _site_middleware() -> Iterator[checks.CheckMessage]:
    """Where the admin is served."""
    names = list(settings.MIDDLEWARE)
    if not apps.is_installed("django.contrib.admin") or not names:
        return
    if not any(_CSP.search(name) for name in names):
        hint = "Add Django's ContentSecurityPolicyMiddleware, or django-csp's, with default-src 'self'."
        yield checks.Warning("No middleware sends a content security policy.", hint=hint, id="jobs.W005")
    if _DATABASE_AWAY not in names:
        hint = f'Add "{_DATABASE_AWAY}" to MIDDLEWARE, before the sessions\' middleware.'
        said = "While the database is away, pages of the admin answer with an error that helps nobody."
        yield checks.Warning(said, hint=hint, id="jobs.W023")


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
        if key in conf.KINDS and not conf.KINDS[key].fits(value) and key != "ALERTS":
            hint = f"Correct it, or leave it out: the default is {getattr(conf.Conf(), key)!r}."
            said = f'JOBS["{key}"] is {value!r}, and must be {conf.KINDS[key].words}.'
            yield checks.Error(said, hint=hint, id="jobs.E009")


def _alerts() -> Iterator[checks.CheckMessage]:
    told = conf.given().get("ALERTS", {})
    try:
        # What is in it may be secret, so not the whole of it is said.
        alert_choices.read(told if isinstance(told, dict) else {type(told).__name__: told})
    except ValueError as error:
        hint = f'Correct it, or leave it out. JOBS["ALERTS"] is {alert_choices.WORDS}.'
        yield checks.Error(f"JOBS: {error}", hint=hint, id="jobs.E009")


def _limits() -> Iterator[checks.CheckMessage]:
    by_job = {name: registry.get(name).options.limits for name in registry.names()}
    for shared, names in limits.disagreeing(by_job):
        kind, _, name = shared.partition(":")
        said = f'The limit {kind}(…, name="{name}") of {", ".join(names)} is not the same in all of them.'
        hint = "Make it once, and give it to each of these jobs. Until then the smallest number holds."
        yield checks.Error(said, hint=hint, id="jobs.E011")


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
    if not known:
        hint = f'Set RQ_QUEUES = {{"default": {{"URL": "{_ADDRESS}", "SERIALIZER": "{_JSON}"}}, …}}.'
        yield checks.Error("RQ_QUEUES is missing or empty: no job has a queue.", hint=hint, id="jobs.E002")
        return
    for name in registry.names():
        queue = registry.get(name).options.queue
        if queue not in known:
            hint = f"Add it to RQ_QUEUES, or change the job.{did_you_mean(queue, known)}"
            yield checks.Error(
                f'The job {name} goes to the queue "{queue}", which is not there.', hint=hint, id="jobs.E002"
            )
    for queue, options in conf.queues().items():
        if options.get("SERIALIZER") not in (_JSON, "json") and conf.get().FOREIGN_PICKLE is not True:
            hint = (
                f'Set "SERIALIZER": "{_JSON}"; the default is pickle, which runs whatever is in Redis. '
                'While pickled jobs of plain RQ wait, JOBS["FOREIGN_PICKLE"] = True has them read.'
            )
            yield checks.Error(f'RQ_QUEUES["{queue}"] is not serialised as JSON.', hint=hint, id="jobs.E003")


def _addresses() -> Iterator[checks.CheckMessage]:
    urls = set()
    for queue, options in conf.queues().items():
        urls.add(url := options.get("URL"))
        if problem := _problem_of_address(url, options):
            hint = f'Set the same URL for every queue, such as "{_as_url(options)}".'
            yield checks.Error(f'RQ_QUEUES["{queue}"] {problem}.', hint=hint, id="jobs.E008")
    if len(urls) > 1:
        hint = "Give every queue the same URL; one claim goes over all of a worker's queues."
        yield checks.Error("The queues of RQ_QUEUES are not all at one URL.", hint=hint, id="jobs.E008")


def _as_url(options: dict[str, Any]) -> str:
    """The URL of what a queue says by HOST, PORT and DB, with dots for a password; else any."""
    if "HOST" not in options:
        return _ADDRESS
    scheme = "rediss" if options.get("SSL") else "redis"
    who = f"{options.get('USERNAME') or ''}:…@" if options.get("PASSWORD") else ""
    return f"{scheme}://{who}{options['HOST']}:{options.get('PORT', 6379)}/{options.get('DB', 0)}"


def _problem_of_address(url: Any, options: dict[str, Any]) -> str:
    """What is wrong with a queue's address, or nothing. Never shows the URL, which may hold a password."""
    if not url:
        others = ", ".join(key for key in options if key in _OTHER_ADDRESSES)
        return f'has {others} in place of a "URL", which is not supported' if others else 'has no "URL"'
    if not str(url).startswith(_SCHEMES):
        return f'has a "URL" that begins with none of {", ".join(_SCHEMES)}'
    return "" if _has_port_or_none(str(url)) else 'has a "URL" whose port is no number; a password needs %-encoding'


def _has_port_or_none(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _apps() -> Iterator[checks.CheckMessage]:
    names = [app.name for app in apps.get_app_configs()]
    if "django_rq" not in names:
        hint = 'Add "django_rq" to INSTALLED_APPS, after "jobs".'
        yield checks.Error("django_rq is not installed; the queues come from it.", hint=hint, id="jobs.E004")
    elif names.index("django_rq") < names.index("jobs"):
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


def _callbacks() -> Iterator[checks.CheckMessage]:
    for place, name in _named_callbacks():
        known = registry.find(registry.full_name(name))
        if known is None:
            hint = f"Name a registered job.{did_you_mean(name, _nearest_names(name))}"
            yield checks.Error(f'{place} names "{name}", which is no job.', hint=hint, id="jobs.E010")
        elif problem := _unfit_as_callback(known):
            hint = "Take one argument, a dict of what happened: def tell(failed: FailedRun), or LateTick for on_late."
            yield checks.Error(f"{place} names {known.name}, which {problem}.", hint=hint, id="jobs.E010")


def _subjects() -> Iterator[checks.CheckMessage]:
    known = {model._meta.label_lower: model for model in apps.get_models()}
    for name in registry.names():
        subject = registry.get(name).options.subject
        if subject is None or (subject.model in known and not known[subject.model]._meta.proxy):
            continue
        hint = f'Name a model that is no proxy, as "app.Model".{did_you_mean(subject.model, known)}'
        said = f'The subject of the job {name} is a "{subject.model}", which is no model here.'
        yield checks.Error(said, hint=hint, id="jobs.E013")


def _telemetry() -> Iterator[checks.CheckMessage]:
    if tracing.is_on() and find_spec("opentelemetry") is None:
        hint = "Install jobsite[otel], or leave TRACING out."
        yield checks.Error('JOBS["TRACING"] needs opentelemetry-api.', hint=hint, id="jobs.E014")
    name = conf.get().ERROR_TRACKER
    if name and conf.KINDS["ERROR_TRACKER"].fits(name) and (problem := _problem_of_tracker()):
        hint = 'Set it to "sentry" and install jobsite[sentry], or write a function as "package.module.function".'
        yield checks.Error(f'JOBS["ERROR_TRACKER"] names "{name}": {problem}.', hint=hint, id="jobs.E015")


def _problem_of_tracker() -> str:
    try:
        return "" if callable(error_tracker.tracker()) else "it cannot be called"
    # Django's answer to most paths that lead nowhere, and Python's to ".x".
    except (ImportError, ValueError) as error:
        return str(error)


def _schedules() -> Iterator[checks.CheckMessage]:
    known = conf.queue_names()
    try:
        declared = timetable.declared()
    except BadSchedule as error:
        hint = "Give each @cron its timezone, or correct TIME_ZONE."
        yield checks.Error(f"The schedules of the code cannot be: {error}", hint=hint, id="jobs.E012")
        return
    for name, terms in declared.items():
        if terms.queue and known and terms.queue not in known:
            hint = f"Add it to RQ_QUEUES, or change its @cron.{did_you_mean(terms.queue, known)}"
            words = f'The schedule {name} sends its runs to the queue "{terms.queue}", which is not there.'
            yield checks.Error(words, hint=hint, id="jobs.E012")


def _database() -> Iterator[checks.CheckMessage]:
    alias = router.db_for_write(JobRun)
    options = settings.DATABASES.get(alias, {})
    is_sqlite = options.get("ENGINE") == "django.db.backends.sqlite3"
    if is_sqlite and str(options.get("OPTIONS", {}).get("transaction_mode")).upper() not in _WRITING:
        said = f'In the SQLite database "{alias}", jobs will fail with "database is locked" beside one another.'
        hint = f'Let transactions wait for their turn: set its "OPTIONS": {_SQLITE_OPTIONS}.'
        yield checks.Warning(said, hint=hint, id="jobs.W022")


def _timetable() -> dict[str, Terms]:
    """The schedules of the code, none where they cannot be."""
    try:
        return timetable.declared()
    except BadSchedule:
        return {}


def _named_callbacks() -> Iterator[tuple[str, str]]:
    for key in ("ON_DEATH", "ON_FAILURE", "ON_LATE"):
        project_wide = getattr(conf.get(), key)
        if project_wide and conf.KINDS[key].fits(project_wide):
            yield f'JOBS["{key}"]', project_wide
    for option in ("on_death", "on_failure"):
        for name in registry.names():
            if own := getattr(registry.get(name).options, option):
                yield f"{option} of the job {name}", own
    for name, terms in _timetable().items():
        if terms.on_late:
            yield f"on_late of the schedule {name}", terms.on_late


def _nearest_names(name: str) -> list[str]:
    """All names of jobs, without their modules where `name` has none."""
    return [one if "." in name else one.rpartition(".")[2] for one in registry.names()]


def _unfit_as_callback(known: registry.Job[..., Any]) -> str:
    if not known.options.durable:
        return "is not durable, and would be lost with Redis"
    try:
        known.signature.bind({})
    except TypeError:
        return "does not take one argument"
    return ""


def _is_ours(given: Any, path: str) -> bool:
    try:
        given_class = import_string(given) if isinstance(given, str) else given
    except ImportError:
        return False
    return isinstance(given_class, type) and issubclass(given_class, import_string(path))


def _unfit(server: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    for one in inspect.unfit(server):
        yield checks.Warning(one.problem, hint=one.cure, id=one.check)


def _stock_workers() -> Iterator[checks.CheckMessage]:
    if found := stock.found(conf.queue_names()):
        hint = "Stop them: they take jobs without a lease, and lose them when they are killed."
        yield checks.Warning(f"Stock RQ works on our queues: {', '.join(found)}.", hint=hint, id="jobs.W021")
