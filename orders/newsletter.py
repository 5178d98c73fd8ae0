"""Who wants the newsletter, and making the list provider agree. Knows nothing of HTTP: that is in `lists`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core import signing
from django.db import models, transaction
from django.utils import timezone

from jobs import PutOffJob
from jobs.locks import Lock, lock
from orders import lists
from orders.models import Customer, Newsletter

Tell = Callable[[int], object]
WANTED = (Newsletter.ASKED, Newsletter.ON_LIST)
SALT = "orders.newsletter"


def normalised(email: str) -> str:
    """The address as it is stored.

    >>> normalised(" Ada@Example.COM ")
    'ada@example.com'
    """
    return email.strip().lower()


@transaction.atomic
def sign_up(email: str, *, on_asked: Tell) -> Customer:
    """Keep that this address wants the newsletter, and tell `on_asked(customer_id)` in the same transaction.

    Nothing is asked for an address that is on the list, or is being put there. One that was refused is tried again.
    """
    customer, _ = Customer.objects.get_or_create(email=normalised(email))
    if _set(Customer.objects.filter(pk=customer.pk).exclude(newsletter__in=WANTED), Newsletter.ASKED):
        on_asked(customer.pk)
    customer.refresh_from_db()
    return customer


@transaction.atomic
def leave(customer: Customer, *, on_left: Tell) -> bool:
    """Keep that they want it no more, and tell `on_left(customer_id)`. False when they did not have it."""
    readers = Customer.objects.filter(pk=customer.pk, newsletter__in=WANTED)
    if not _set(readers, Newsletter.LEFT):
        return False
    on_left(customer.pk)
    return True


def put_on_list(customer_id: int, *, on_listed: Tell) -> None:
    """Have the provider know a customer who asked. One who did not, or not any more: nothing to do.

    An address that the provider refuses is an answer: it is kept on the customer and not raised. A rate
    limit puts the run off; every other error of `lists` is raised.
    """
    with _one_at_a_time(customer_id):
        _put_on_list(customer_id, on_listed)


def take_off_list(customer_id: int) -> None:
    """Have the provider forget a customer who left."""
    with _one_at_a_time(customer_id):
        _take_off_list(customer_id)


def has_it(customer: Customer) -> bool:
    """Whether they get the newsletter, or will."""
    return customer.newsletter in WANTED


def leaving_token(customer: Customer) -> str:
    """What the link to leave carries. It is in letters only: who reads them has the address."""
    return signing.dumps(customer.pk, salt=SALT)


def customer_of(token: str) -> Customer | None:
    try:
        return Customer.objects.filter(pk=signing.loads(token, salt=SALT)).first()
    except signing.BadSignature:
        return None


def _one_at_a_time(customer_id: int) -> Lock:
    """Who leaves and comes back at once must not be taken off after they were put on again: what a customer wants is
    read, and the provider told of it, by one run at a time. The other is put off."""
    return lock(f"newsletter:{customer_id}")


def _put_on_list(customer_id: int, on_listed: Tell) -> None:
    asked = Customer.objects.filter(pk=customer_id, newsletter=Newsletter.ASKED)
    customer = asked.first()
    if customer is None:
        return
    try:
        with _waiting_as_told():
            lists.add(address=customer.email, name=customer.name)
    except lists.AddressRefused as refusal:
        _set(asked, Newsletter.INVALID, refusal.words)
        return
    if not _mark_listed(customer, on_listed):
        _take_off_list(customer_id)


def _take_off_list(customer_id: int) -> None:
    customer = Customer.objects.filter(pk=customer_id, newsletter=Newsletter.LEFT).first()
    if customer is not None:
        with _waiting_as_told():
            lists.remove(customer.email)


@transaction.atomic
def _mark_listed(customer: Customer, tell: Tell) -> bool:
    """False when they left while the provider was asked."""
    if not _set(Customer.objects.filter(pk=customer.pk, newsletter=Newsletter.ASKED), Newsletter.ON_LIST):
        return False
    tell(customer.pk)
    return True


@contextmanager
def _waiting_as_told() -> Iterator[None]:
    """A rate limit is no failure: the run waits as long as the provider says, and the attempt does not count."""
    try:
        yield
    except lists.RateLimited as limited:
        raise PutOffJob(limited.retry_after, "the list provider takes no more requests now") from limited


def _set(customers: models.QuerySet[Customer], state: Newsletter, problem: str = "") -> bool:
    """Whether somebody was there to be set so."""
    return bool(customers.update(newsletter=state, newsletter_problem=problem[:200], newsletter_at=timezone.now()))
