"""A partner of the sample jobs: some parcels it takes, some it does not."""

from __future__ import annotations


class MalformedAddress(Exception):
    """Permanent."""


class NoSuchParcel(Exception):
    """What a 404 says: perhaps not yet, perhaps never."""


def announce(parcel_id: int) -> None:
    if parcel_id == 400:
        raise MalformedAddress("no street")
    if parcel_id == 404:
        raise NoSuchParcel("unknown")
    if parcel_id == 503:
        raise ConnectionError("down")
