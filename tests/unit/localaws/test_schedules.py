"""When a scheduled action is due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localaws.services.autoscaling import schedules

START = datetime(2026, 11, 29, 14, 10, 30)  # a Sunday


def due(expression: str, zone: str | None = None, after: datetime = START, number: int = 1) -> list[str]:
    """The first times after `after`, which is in UTC, in UTC."""
    schedule = schedules.parse(expression, zone)
    anchor = moment = after.replace(tzinfo=UTC).timestamp()
    found = []
    while len(found) < number and (later := schedule.after(moment, anchor)) is not None:
        found.append(f"{datetime.fromtimestamp(later, UTC):%Y-%m-%d %H:%M:%S}")
        moment = later
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("at(2026-12-01T08:00:00)", None, ["2026-12-01 08:00:00"]),
        ("at(2026-12-01T08:00:00)", "America/New_York", ["2026-12-01 13:00:00"]),
        ("at(2026-11-01T08:00:00)", None, []),
        ("rate(5 minutes)", None, ["2026-11-29 14:15:30", "2026-11-29 14:20:30"]),
        ("rate(1 hour)", None, ["2026-11-29 15:10:30", "2026-11-29 16:10:30"]),
        ("cron(0 9 * * ? *)", None, ["2026-11-30 09:00:00", "2026-12-01 09:00:00"]),
        ("cron(0 9 * * ? *)", "Europe/Berlin", ["2026-11-30 08:00:00", "2026-12-01 08:00:00"]),
        ("cron(0/20 14 ? * * *)", None, ["2026-11-29 14:20:00", "2026-11-29 14:40:00"]),
        ("cron(30 6 ? * MON-FRI *)", None, ["2026-11-30 06:30:00", "2026-12-01 06:30:00"]),
        ("cron(0 0 ? * 7,1 *)", None, ["2026-12-05 00:00:00", "2026-12-06 00:00:00"]),
        ("cron(0 0 L * ? *)", None, ["2026-11-30 00:00:00", "2026-12-31 00:00:00"]),
        ("cron(0 0 LW * ? 2027)", None, ["2027-01-29 00:00:00", "2027-02-26 00:00:00"]),
        ("cron(0 0 15W 5,8 ? 2027)", None, ["2027-05-14 00:00:00", "2027-08-16 00:00:00"]),
        ("cron(0 0 ? * FRI#2 *)", None, ["2026-12-11 00:00:00", "2027-01-08 00:00:00"]),
        ("cron(0 0 ? * 6L *)", None, ["2026-12-25 00:00:00", "2027-01-29 00:00:00"]),
        ("cron(0 0 29 FEB ? *)", None, ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("cron(0 0 1 JAN ? 2040)", None, ["2040-01-01 00:00:00"]),
        ("cron(0 0 30 2 ? *)", None, []),
        # the clocks of Berlin go forward on 2027-03-28 at 2:00: that day has no 2:30
        ("cron(30 2 27-29 3 ? 2027)", "Europe/Berlin", ["2027-03-27 01:30:00", "2027-03-29 00:30:00"]),
        # and back on 2027-10-31 at 3:00: that day has 2:30 twice
        ("cron(30 2 31 10 ? 2027)", "Europe/Berlin", ["2027-10-31 00:30:00"]),
    ],
)
def test_a_schedule_is_due_at_its_times(expression, zone, expected):
    assert due(expression, zone, number=2) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "words"),
    [
        ("every day", None, "none of at"),
        ("at(tomorrow)", None, "not a time"),
        ("rate(0 minutes)", None, "not a rate"),
        ("rate(5 seconds)", None, "not a rate"),
        ("cron(0 9 * * *)", None, "six fields, and this one has 5"),
        ("cron(0 9 * * * *)", None, "exactly one must be"),
        ("cron(60 9 * * ? *)", None, "'60' cannot be the minutes field"),
        ("cron(0 9 ? * MOO *)", None, "'MOO' cannot be the day of week field"),
        ("cron(0 9 ? * 8L *)", None, "'8' cannot be the day of week field"),
        ("cron(0/x 9 * * ? *)", None, "a step is positive"),
        ("cron(0 9 * * ? *)", "Europe/Dogtown", "time zone 'Europe/Dogtown' is not known"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_named(expression, zone, words):
    with pytest.raises(schedules.InvalidSchedule, match=words):
        schedules.parse(expression, zone)


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.sets(st.integers(1, 7), min_size=1, max_size=3),
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
)
def test_a_cron_expression_skips_no_matching_minute(minutes, hours, weekdays, zone, start):
    fields = [",".join(map(str, sorted(each))) for each in (minutes, hours, weekdays)]
    schedule = schedules.parse(f"cron({fields[0]} {fields[1]} ? * {fields[2]} *)", zone)
    moment = start.replace(tzinfo=UTC).timestamp()
    found = schedule.after(moment, moment)
    assert moment < found

    def matches(at: datetime) -> bool:
        local = at.astimezone(schedule.zone)
        weekday = local.isoweekday() % 7 + 1
        return local.minute in minutes and local.hour in hours and weekday in weekdays and not local.fold

    first = start.replace(second=0, microsecond=0, tzinfo=UTC) + timedelta(minutes=1)
    assert matches(datetime.fromtimestamp(found, UTC))
    while first.timestamp() < found:
        assert not matches(first), "an earlier minute matches, too"
        first += timedelta(minutes=1)
