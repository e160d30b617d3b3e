"""When a scheduled action is due: at(…), rate(…) and cron(…) expressions.

Pure code. Times are seconds since 1970. Source: "Schedule recurring scaling actions" in the Application Auto Scaling
user guide; the fields of a cron expression are those of the Quartz scheduler: minutes, hours, day of month, month, day
of week, year.
"""

import calendar
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
LAST_YEAR = 2199
# The fields with their lowest and highest number, and their names for numbers.
FIELDS: dict[str, tuple[int, int, dict[str, int]]] = {
    "minutes": (0, 59, {}),
    "hours": (0, 23, {}),
    "day of month": (1, 31, {}),
    "month": (1, 12, MONTHS),
    "day of week": (1, 7, DAYS),
    "year": (1970, LAST_YEAR, {}),
}
YEARS_AHEAD = 10  # there are up to eight years between two leap days
FORMS = "at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(minutes hours day-of-month month day-of-week year)"


class InvalidSchedule(Exception):
    """A schedule that cannot be read; the message names the part and the forms."""


@dataclass(frozen=True)
class At:
    moment: float

    def after(self, moment: float, anchor: float) -> float | None:
        """The first time after `moment`, or None. `anchor` is when the action begins; only a rate counts from it."""
        return self.moment if self.moment > moment else None


@dataclass(frozen=True)
class Rate:
    """Every so many seconds."""

    seconds: float

    def after(self, moment: float, anchor: float) -> float | None:
        """As in At. The first time is one interval after the anchor."""
        passed = max(0, int((moment - anchor) // self.seconds))
        return anchor + (passed + 1) * self.seconds


@dataclass(frozen=True)
class Cron:
    """The fields of a cron expression. `days` says of a date whether it matches the day of month and of week."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    years: frozenset[int]
    day_of_month: str
    day_of_week: str
    zone: ZoneInfo

    def after(self, moment: float, anchor: float) -> float | None:
        """As in At. A time that a change of the clocks leaves out is left out; one that comes twice counts once."""
        first = datetime.fromtimestamp(moment, self.zone).date()
        for year in [each for each in sorted(self.years) if each >= first.year][:YEARS_AHEAD]:
            begin = max(first, date(year, 1, 1))
            for ahead in range((date(year, 12, 31) - begin).days + 1):
                day = begin + timedelta(days=ahead)
                if day.month in self.months and self._matches(day):
                    later = next((found for found in self._times(day) if found > moment), None)
                    if later is not None:
                        return later
        return None

    def _times(self, day: date) -> Iterator[float]:
        for hour in self.hours:
            for minute in self.minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                found = local.astimezone(UTC)
                if found.astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield found.timestamp()

    def _matches(self, day: date) -> bool:
        if self.day_of_week != "?":
            return any(_is_weekday(part, day) for part in self.day_of_week.split(","))
        return any(_is_day(part, day) for part in self.day_of_month.split(","))


Schedule = At | Rate | Cron


@functools.lru_cache(1000)
def parse(expression: str, timezone: str | None = None) -> Schedule:
    """The schedule of an expression; `timezone` is of the IANA database, UTC if None. Raises InvalidSchedule."""
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSchedule(
            f"The time zone {timezone!r} is not known: use a canonical name such as Europe/Berlin."
        ) from None
    found = re.fullmatch(r"(at|rate|cron)\((.*)\)", expression.strip())
    if not found:
        raise InvalidSchedule(f"The schedule {expression!r} is none of {FORMS}.")
    kind, text = found.groups()
    if kind == "at":
        return _at(text, zone)
    return _rate(text) if kind == "rate" else _cron(text.split(), zone)


def _at(text: str, zone: ZoneInfo) -> At:
    try:
        return At(datetime.strptime(text.strip(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).timestamp())
    except ValueError:
        raise InvalidSchedule(f"at({text}) is not a time: write at(yyyy-mm-ddThh:mm:ss).") from None


def _rate(text: str) -> Rate:
    found = re.fullmatch(r"\s*([1-9]\d*)\s+(minute|hour|day)s?\s*", text)
    if not found:
        raise InvalidSchedule(f"rate({text}) is not a rate: write a positive whole number and minutes, hours or days.")
    return Rate(int(found[1]) * UNITS[found[2]])


def _cron(fields: list[str], zone: ZoneInfo) -> Cron:
    if len(fields) != 6:
        raise InvalidSchedule(f"A cron expression has six fields, and this one has {len(fields)}: write {FORMS}.")
    minutes, hours, month_day, months, week_day, years = (each.upper() for each in fields)
    if (month_day == "?") == (week_day == "?"):
        raise InvalidSchedule("Of the day of month and the day of week, exactly one must be '?'.")
    cron = Cron(
        tuple(sorted(_numbers(minutes, "minutes"))),
        tuple(sorted(_numbers(hours, "hours"))),
        _numbers(months, "month"),
        _numbers(years, "year"),
        month_day,
        week_day,
        zone,
    )
    if month_day != "?":
        for part in month_day.split(","):
            if not re.fullmatch(r"L|LW|([1-9]|[12]\d|3[01])W", part):
                _numbers(part, "day of month")
    else:
        for part in week_day.split(","):
            if not re.fullmatch(r"L|(\d|[A-Z]{3})(L|#[1-5])", part):
                _numbers(part, "day of week")
            elif part != "L":
                _number(part[:3] if part[0].isalpha() else part[0], "day of week")
    return cron


@functools.lru_cache(1000)
def _numbers(field: str, name: str) -> frozenset[int]:
    """The numbers of one field: `*`, numbers, names, ranges `a-b`, steps `a/n`, and lists of these."""
    low, high, _ = FIELDS[name]
    numbers: set[int] = set()
    for part in field.split(","):
        body, _, step = part.partition("/")
        if step and not (step.isdigit() and int(step)):
            raise InvalidSchedule(f"{part!r} cannot be the {name} field of a cron expression: a step is positive.")
        if body == "*":
            first, last = low, high
        elif "-" in body:
            first, last = (_number(each, name) for each in body.split("-", 1))
        else:
            first = _number(body, name)
            last = high if step else first
        chosen = range(first, last + 1) if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        numbers |= set(list(chosen)[:: int(step or 1)])
    return frozenset(numbers)


def _number(text: str, name: str) -> int:
    low, high, names = FIELDS[name]
    number = names.get(text, int(text) if text.isdigit() else -1)
    if not low <= number <= high:
        raise InvalidSchedule(
            f"{text!r} cannot be the {name} field of a cron expression: it must be from {low} to {high}."
        )
    return number


def _is_day(part: str, day: date) -> bool:
    """Whether a date matches a part of the day-of-month field: L is the last day, W the weekday nearest to a day."""
    last = calendar.monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.endswith("W"):
        wanted = last if part == "LW" else min(int(part[:-1]), last)
        return day == _nearest_weekday(day.replace(day=wanted), last)
    return day.day in _numbers(part, "day of month")


def _nearest_weekday(day: date, last: int) -> date:
    """The weekday nearest to a date, in the same month."""
    if day.weekday() == calendar.SATURDAY:
        return day - timedelta(days=1) if day.day > 1 else day + timedelta(days=2)
    if day.weekday() == calendar.SUNDAY:
        return day + timedelta(days=1) if day.day < last else day - timedelta(days=2)
    return day


def _is_weekday(part: str, day: date) -> bool:
    """Whether a date matches a part of the day-of-week field: L is the last such day of the month, #n the n-th."""
    number = day.isoweekday() % 7 + 1  # 1 is Sunday
    if part == "L":
        return number == DAYS["SAT"]
    if part.endswith("L"):
        return number == _number(part[:-1], "day of week") and (day + timedelta(days=7)).month != day.month
    if "#" in part:
        name, nth = part.split("#")
        return number == _number(name, "day of week") and (day.day - 1) // 7 + 1 == int(nth)
    return number in _numbers(part, "day of week")
