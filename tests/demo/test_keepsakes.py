"""What the demo keeps is kept, and for its owner's eyes only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management.base import CommandError

from orders.demo import keepsakes
from orders.demo.accounts import OPERATOR, VIEWER, create_accounts, password_path

LOCKING = "from pathlib import Path; from orders.demo.keepsakes import lock; lock(Path('{}'))"


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def test_the_folder_is_closed_to_others(tmp_path: Path) -> None:
    assert mode(keepsakes.private_folder(tmp_path / "new" / "var")) == "700"


def test_an_open_folder_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert mode(keepsakes.private_folder(tmp_path)) == "700"


def test_a_secret_is_generated_once(tmp_path: Path) -> None:
    first = keepsakes.kept_secret(tmp_path / "key", random_bytes=50)
    assert len(first) >= 50
    assert keepsakes.kept_secret(tmp_path / "key", random_bytes=50) == first


def test_a_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    keepsakes.kept_secret(tmp_path / "key", random_bytes=8)
    assert mode(tmp_path / "key") == "600"


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    assert keepsakes.kept_secret(tmp_path / "key", random_bytes=8)


def test_a_second_demo_in_one_folder_is_refused_with_the_cure(tmp_path: Path) -> None:
    holding = f"{LOCKING.format(tmp_path)}; import time; print('locked', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holding], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            with pytest.raises(CommandError, match=f"already running .*process {holder.pid}.*VAR_DIR=") as refusal:
                keepsakes.lock(tmp_path)
            assert refusal.value.returncode == 2
        finally:
            holder.kill()


def test_a_folder_is_free_again_when_its_demo_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([sys.executable, "-c", LOCKING.format(tmp_path)], check=True)


@pytest.mark.django_db
def test_the_operator_can_log_in_with_the_kept_password(tmp_path: Path) -> None:
    create_accounts(tmp_path)
    password = password_path(tmp_path, OPERATOR).read_text().strip()
    operator = authenticate(username=OPERATOR, password=password)
    assert operator is not None
    assert operator.is_superuser


@pytest.mark.django_db
def test_the_viewer_may_look_at_the_console_and_change_nothing(tmp_path: Path) -> None:
    create_accounts(tmp_path)
    viewer = get_user_model().objects.get(username=VIEWER)
    assert viewer.is_staff
    assert viewer.get_all_permissions() == {"jobs.view_console", "jobs.view_audit"}


@pytest.mark.django_db
def test_an_account_that_exists_keeps_its_password(tmp_path: Path) -> None:
    get_user_model().objects.create_superuser(OPERATOR, password="chosen by a person")
    create_accounts(tmp_path)
    assert authenticate(username=OPERATOR, password="chosen by a person") is not None
    assert not password_path(tmp_path, OPERATOR).exists()


@pytest.mark.django_db
def test_a_new_database_gets_the_password_that_was_kept(tmp_path: Path) -> None:
    create_accounts(tmp_path)
    get_user_model().objects.all().delete()
    kept = password_path(tmp_path, OPERATOR).read_text().strip()
    create_accounts(tmp_path)
    assert authenticate(username=OPERATOR, password=kept) is not None
