"""When cron expressions are due: by table on the days on which clocks are set, and by properties on all others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import BadSchedule
from jobs.policy.cron import COUNTED, Cron, fields_of, zone_of

BERLIN, NEW_YORK, LORD_HOWE, KOLKATA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"

# Zone, when to look from (by its clock), and what is due next by it, with its distance from UTC.
TABLE = [
    # The clock leaps from 2:00 to 3:00.
    ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200", "30 02:30+0200"]),
    ("0 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200", "30 02:00+0200"]),
    ("0,15,30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200", "30 02:00+0200"]),
    ("0 2,3 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200", "30 02:00+0200"]),
    ("30 2,3 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200", "29 03:30+0200", "30 02:30+0200"]),
    ("30 1 * * *", BERLIN, "2026-03-28T12:00", ["29 01:30+0100", "30 01:30+0200"]),
    ("0 3 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200", "30 03:00+0200"]),
    ("30 2 29 3 *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200"]),
    ("*/20 * * * *", BERLIN, "2026-03-29T01:25", ["29 01:40+0100", "29 03:00+0200", "29 03:20+0200"]),
    ("30 * * * *", BERLIN, "2026-03-29T01:00", ["29 01:30+0100", "29 03:30+0200"]),
    ("0 */2 * * *", BERLIN, "2026-03-28T23:00", ["29 00:00+0100", "29 03:00+0200", "29 04:00+0200"]),
    # It shows 2:00 to 3:00 twice.
    ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["25 02:30+0200", "26 02:30+0100"]),
    ("0 3 * * *", BERLIN, "2026-10-24T12:00", ["25 03:00+0100", "26 03:00+0100"]),
    ("*/30 2 * * *", BERLIN, "2026-10-24T12:00", ["25 02:00+0200", "25 02:30+0200", "26 02:00+0100"]),
    (
        "*/30 * * * *",
        BERLIN,
        "2026-10-25T01:45",
        ["25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100", "25 03:00+0100"],
    ),
    ("15 * * * *", BERLIN, "2026-10-25T01:45", ["25 02:15+0200", "25 02:15+0100", "25 03:15+0100"]),
    ("@hourly", BERLIN, "2026-10-25T01:45", ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]),
    ("0 */2 * * *", BERLIN, "2026-10-25T00:30", ["25 02:00+0200", "25 04:00+0100"]),
    # The same at 2:00 in the west.
    ("15 2 * * *", NEW_YORK, "2026-03-07T12:00", ["08 03:00-0400", "09 02:15-0400"]),
    ("15 1 * * *", NEW_YORK, "2026-10-31T12:00", ["01 01:15-0400", "02 01:15-0500"]),
    ("45 * * * *", NEW_YORK, "2026-11-01T00:50", ["01 01:45-0400", "01 01:45-0500", "01 02:45-0500"]),
    # By half an hour.
    ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["04 02:30+1100", "05 02:15+1100"]),
    ("*/15 * * * *", LORD_HOWE, "2026-10-04T01:40", ["04 01:45+1030", "04 02:30+1100", "04 02:45+1100"]),
    ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00", ["05 01:45+1100", "06 01:45+1030"]),
    (
        "*/15 * * * *",
        LORD_HOWE,
        "2026-04-05T01:20",
        ["05 01:30+1100", "05 01:45+1100", "05 01:30+1030", "05 01:45+1030", "05 02:00+1030"],
    ),
    # At midnight, so that a day has no beginning.
    ("0 0 * * *", "America/Santiago", "2026-09-05T12:00", ["06 01:00-0300", "07 00:00-0300"]),
    ("0 0 6 9 *", "America/Santiago", "2026-09-05T12:00", ["06 01:00-0300"]),
    # A whole day that an island never had.
    ("0 8 * * *", "Pacific/Apia", "2011-12-28T12:00", ["29 08:00-1000", "31 00:00+1400", "31 08:00+1400"]),
    # Never.
    ("30 2 * * *", KOLKATA, "2026-03-28T12:00", ["29 02:30+0530", "30 02:30+0530"]),
    ("30 2 * * *", "UTC", "2026-03-28T12:00", ["29 02:30+0000", "30 02:30+0000"]),
    ("@daily", "UTC", "2026-03-28T12:00", ["29 00:00+0000"]),
    ("0 9 * * mon-fri", "UTC", "2026-05-08T12:00", ["11 09:00+0000", "12 09:00+0000"]),
    ("0 0 L * *", "UTC", "2026-02-01T00:00", ["28 00:00+0000", "31 00:00+0000"]),
    ("0 0 13 * fri", "UTC", "2026-05-11T00:00", ["13 00:00+0000", "15 00:00+0000"]),
    ("0 0 29 2 *", "UTC", "2026-05-11T00:00", ["29 00:00+0000"]),
]


@pytest.mark.parametrize(("expression", "zone", "start", "expected"), TABLE)
def test_a_schedule_is_due_by_the_clock_of_its_zone(
    expression: str, zone: str, start: str, expected: list[str]
) -> None:
    cron = Cron(expression, zone)
    found = islice(cron.due_times(datetime.fromisoformat(start).replace(tzinfo=cron.zone)), len(expected))
    assert [f"{due.astimezone(cron.zone):%d %H:%M%z}" for due in found] == expected


EXPRESSIONS = st.sampled_from(
    [
        "*/15 * * * *",
        "* * * * *",
        "7 * * * *",
        "30 2 * * *",
        "*/20 1-3 * * *",
        "0 */3 * * *",
        "15 0 * * *",
        "0 2,3 * * 0",
    ]
)
ZONES = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, KOLKATA, "America/Santiago", "UTC"])
# Around the days on which clocks are set, and any others.
STARTS = st.one_of(
    st.datetimes(datetime(2025, 12, 1), datetime(2027, 1, 1)),
    st.sampled_from([(3, 8), (3, 29), (4, 5), (9, 6), (10, 4), (10, 25), (11, 1)]).flatmap(
        lambda day: st.datetimes(datetime(2026, *day) - timedelta(hours=20), datetime(2026, *day) + timedelta(hours=28))
    ),
).map(lambda moment: moment.replace(tzinfo=UTC))


@given(EXPRESSIONS, ZONES, STARTS)
@settings(max_examples=60, deadline=None)
def test_due_times_rise_and_are_the_same_from_wherever_one_asks(expression: str, zone: str, start: datetime) -> None:
    cron = Cron(expression, zone)
    found = list(islice(cron.due_times(start), 12))
    assert start < found[0]
    for one, other in pairwise(found):
        assert one < other
        for between in (one, one + timedelta(seconds=1), one + (other - one) / 2, other - timedelta(microseconds=1)):
            assert cron.next(between) == other


@given(st.sampled_from(["*/15 * * * *", "7 * * * *", "* * * * *", "20 * * * 0"]), ZONES, STARTS)
@settings(max_examples=30, deadline=None)
def test_an_interval_is_due_in_each_real_minute_whose_wall_time_fits(
    expression: str, zone: str, start: datetime
) -> None:
    cron = Cron(expression, zone)
    assert cron.is_interval
    minutes = {"*/15 * * * *": {0, 15, 30, 45}, "7 * * * *": {7}, "* * * * *": set(range(60)), "20 * * * 0": {20}}
    first = start.replace(second=0, microsecond=0)
    real = [first + timedelta(minutes=number) for number in range(1, 181)]
    local = [(minute, minute.astimezone(ZoneInfo(zone))) for minute in real]
    sundays = expression.endswith("0")
    fitting = [
        minute
        for minute, shown in local
        if shown.minute in minutes[expression] and (not sundays or shown.isoweekday() == 7)
    ]
    passed = cron.passed(start, real[-1], most=500)
    assert list(passed.latest if passed else ()) == fitting


@given(st.sampled_from(["30 2 * * *", "15 1 * * *", "0 0 * * *", "59 23 * * *"]), ZONES)
@settings(max_examples=24, deadline=None)
def test_what_is_due_once_a_day_is_due_on_each_day_of_a_year_once(expression: str, zone: str) -> None:
    cron = Cron(expression, zone)
    start = datetime(2026, 1, 1, tzinfo=cron.zone) - timedelta(seconds=1)
    days = [due.astimezone(cron.zone).date() for due in islice(cron.due_times(start), 365)]
    assert days == [datetime(2026, 1, 1).date() + timedelta(days=number) for number in range(365)]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "five fields"),
        ("0 3 * *", "has 4 fields"),
        ("* * * * * *", "neither seconds nor years"),
        ("0 0 * * * 2026", "neither seconds nor years"),
        ("61 * * * *", "out of range"),
        ("0 3 * * someday", "five fields"),
        ("0 0 30 2 *", "no such day"),
        ("@dayly", 'Did you mean "@daily"'),
        ("@reboot", "There are @yearly"),
        ("H 3 * * *", "by chance"),
        ("R(0-30) 3 * * *", "by chance"),
        ("0 0 * * thu,fri,mar", "five fields"),
        ("*" * 201, "five fields"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_cure(expression: str, told: str) -> None:
    with pytest.raises(BadSchedule) as refused:
        fields_of(expression)
    assert told in str(refused.value)


@pytest.mark.parametrize("expression", ["0 3 * MAR,APR THU", "0 3  * * *", "@Hourly", "0 3 ? * *", "5 4 * * sun"])
def test_names_and_other_ways_of_writing_are_taken(expression: str) -> None:
    assert Cron(expression, "UTC").next(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("zone", ["Berlin", "", "../../etc/passwd", "Europe", "CEST+2"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(BadSchedule, match="There is no time zone"):
        zone_of(zone)


def test_the_nearest_time_zone_is_named() -> None:
    with pytest.raises(BadSchedule, match='Did you mean "Europe/Berlin"'):
        zone_of("Europe/Berln")


def test_what_has_passed_is_counted_and_the_latest_are_told() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    passed = Cron("0 * * * *", "UTC").passed(start, start + timedelta(hours=5, minutes=30), most=2)
    assert passed is not None
    assert (passed.count, passed.capped, passed.first) == (5, False, start + timedelta(hours=1))
    assert passed.latest == (start + timedelta(hours=4), start + timedelta(hours=5))
    assert Cron("0 * * * *", "UTC").passed(start, start + timedelta(minutes=59), most=2) is None


def test_of_a_year_of_minutes_only_the_latest_are_told() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=365)
    passed = Cron("* * * * *", "UTC").passed(start, end, most=3)
    assert passed is not None
    assert (passed.count, passed.capped) == (COUNTED, True)
    assert passed.latest == (end - timedelta(minutes=2), end - timedelta(minutes=1), end)
