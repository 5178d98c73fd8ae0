"""The list provider and its client, over real HTTP."""

from pathlib import Path

import pytest

from orders import lists
from orders.calling import call
from orders.partners.lists import Lists


def add(address: str = "ada@example.com") -> None:
    lists.add(address=address, name="Ada")


def test_an_address_is_put_on_the_list(list_provider: Lists) -> None:
    add()
    (member,) = list_provider.ledger()
    assert (member["address"], member["name"]) == ("ada@example.com", "Ada")


def test_an_address_that_is_there_already_is_no_error_and_there_once(list_provider: Lists) -> None:
    add()
    add("Ada@Example.com")
    assert len(list_provider.ledger()) == 1
    assert list_provider.counts() == {"201": 1, "409": 1}


@pytest.mark.usefixtures("list_provider")
@pytest.mark.parametrize("address", ["ada", "ada@", "@example.com", "a da@example.com", "ada@example.invalid"])
def test_a_senseless_address_is_refused_with_the_providers_words(address: str) -> None:
    with pytest.raises(lists.AddressRefused) as refused:
        add(address)
    assert address.rpartition("@")[2] in refused.value.words


def test_an_address_is_taken_off_and_may_be_off_already(list_provider: Lists) -> None:
    add("ada+shop/1@example.com")
    lists.remove("ada+shop/1@example.com")
    lists.remove("ada+shop/1@example.com")
    assert list_provider.ledger() == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mode", ["down", "timeout_before", "timeout_after", "error"])
def test_no_answer_or_a_broken_one_may_be_asked_again(list_provider: Lists, mode: str) -> None:
    list_provider.set_mode(mode, seconds=0, times=1)
    with pytest.raises(lists.ListsUnavailable):
        add()
    add()
    assert len(list_provider.ledger()) == 1


@pytest.mark.parametrize(("mode", "least"), [("rate_limit", 90), ("rate_limit_date", 88)])
def test_the_wait_may_be_told_in_seconds_or_as_a_date(list_provider: Lists, mode: str, least: float) -> None:
    list_provider.set_mode(mode, seconds=90)
    with pytest.raises(lists.RateLimited) as limited:
        add()
    assert least <= limited.value.retry_after <= 91


@pytest.mark.usefixtures("list_provider")
def test_a_request_that_makes_no_sense_is_told_apart() -> None:
    with pytest.raises(lists.RequestRefused):
        add(" ")


def test_members_are_kept_over_a_restart_and_can_be_looked_up(tmp_path: Path) -> None:
    with Lists(tmp_path) as provider:
        call("POST", f"{provider.url}/members", body={"address": "ada@example.com"})
    with Lists(tmp_path) as provider:
        assert call("GET", f"{provider.url}/members/ada%40example.com").status == 200
        assert call("GET", f"{provider.url}/members/bob%40example.com").status == 404
        assert call("GET", f"{provider.url}/ledger?limit=1").body["count"] == 1
