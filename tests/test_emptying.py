"""What a test that commits leaves behind: nothing of its own, and all that `migrate` makes."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from tests import emptying

pytestmark = pytest.mark.django_db(transaction=True)


def after_a_test() -> None:
    """Empty the tables as after a test that commits."""

    class Case(emptying.TransactionTestCase):
        pass

    emptying.flush(Case("__init__"))


@pytest.mark.parametrize("breaks", [False, True], ids=["rows of its own", "what migrate made too"])
def test_every_row_goes_and_what_migrate_makes_is_there(breaks: bool) -> None:
    after_a_test()
    made = names()
    User.objects.create_user("ann").groups.set(Group.objects.all())
    if breaks:
        Group.objects.all().delete()
    after_a_test()
    assert not User.objects.exists()
    assert len(made) >= 20
    assert names() == made


def names() -> set[tuple[str, str]]:
    return set(Group.objects.values_list("name", "permissions__codename"))
