"""Starts the whole product, says where it is, and stops it. What each part does is its own affair."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path

from django.core.management.base import CommandError

from jobs.errors import JobsError

from . import keepsakes
from .accounts import USERNAMES, password_path
from .addresses import Addresses
from .banner import banner
from .output import Output
from .parts import EmbeddedValkey
from .ports import HOST
from .programs import Programs
from .supervisor import StopAsked, Supervisor
from .surroundings import environment_with, is_given

_SECRET_KEY_BYTES = 50
_WEBHOOK_SECRET_BYTES = 32
_ANSWER_WITHIN_SECONDS = 60.0


@dataclass(frozen=True)
class Launch:
    """What one run of the demo was asked for: its code, where it keeps its data, where its parts listen, and the
    file that tells so.
    """

    code_folder: Path
    data_folder: Path
    addresses: Addresses
    told_in: Path


def launch(wanted: Launch, output: Output) -> int:
    """Run the demo until somebody stops it, and return the exit status: 0 stopped, 1 could not start.

    1. Valkey and the partners start.
    2. The database, the accounts and the shop's goods are brought up to date.
    3. The worker and the web server start. Once the shop answers, the banner tells where.
    4. Parts that end are started again, until a stop signal comes.
    5. The web server stops first, then the worker, then the partners, Valkey last.
    """
    supervisor = Supervisor(output)
    try:
        _start(wanted, supervisor, output)
        supervisor.run()
    except StopAsked:
        return 0
    except (CommandError, JobsError) as error:
        output.say(str(error))
        return 1
    finally:
        output.say("Stopping …")
        supervisor.stop()
        output.say(f"Stopped. What it stored is in {wanted.data_folder}.")
    return 0


def _start(wanted: Launch, supervisor: Supervisor, output: Output) -> None:
    programs = Programs(
        code_folder=wanted.code_folder,
        data_folder=wanted.data_folder,
        addresses=wanted.addresses,
        environment=environment_with({**_settings(wanted), **_broker(wanted, supervisor)}),
    )
    for partner in programs.partners():
        supervisor.start(partner)
    passwords_known = _passwords(wanted)
    if supervisor.run_to_end(programs.preparation()) != 0:
        raise CommandError("The set-up failed, for the reason above.")
    supervisor.start(programs.worker())
    supervisor.start(programs.web())
    if not supervisor.run_until(lambda: _answers(wanted.addresses.web), seconds=_ANSWER_WITHIN_SECONDS):
        raise CommandError(f"The shop did not answer within {_ANSWER_WITHIN_SECONDS:.0f} s. See the lines above.")
    output.plain(banner(wanted.addresses, wanted.data_folder, new_passwords=_passwords(wanted) - passwords_known))


def _settings(wanted: Launch) -> dict[str, str]:
    key = keepsakes.kept_secret(wanted.data_folder / "secret-key", random_bytes=_SECRET_KEY_BYTES)
    webhook_secret = keepsakes.kept_secret(wanted.data_folder / "webhook-secret", random_bytes=_WEBHOOK_SECRET_BYTES)
    return {
        "DEBUG": "false",
        "SECRET_KEY": key,
        "PAYMENTS_WEBHOOK_SECRET": webhook_secret,
        "VAR_DIR": str(wanted.data_folder),
        **wanted.addresses.settings(),
    }


def _broker(wanted: Launch, supervisor: Supervisor) -> dict[str, str]:
    """Start the embedded Valkey and say where it is, unless the environment names a server.

    Its socket is in a new folder each time, so the commands beside the demo find it by the file only.
    """
    if is_given("REDIS_URL"):
        return {}
    valkey = EmbeddedValkey(wanted.data_folder / "valkey")
    supervisor.start(valkey)
    wanted.addresses.tell(wanted.told_in, REDIS_URL=valkey.url)
    return {"REDIS_URL": valkey.url}


def _passwords(wanted: Launch) -> set[Path]:
    paths = (password_path(wanted.data_folder, username) for username in USERNAMES)
    return {path for path in paths if path.exists()}


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()
