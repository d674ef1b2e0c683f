"""A duration is written as one number and one unit."""

import copy
import pickle

import pytest

from triggerfish.durations import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86_400), ("007m", 420)],
)
def test_number_and_unit_are_seconds(text: str, seconds: int) -> None:
    assert Duration.parse(text).seconds == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "90s"), (1800, "30m"), (7200, "2h"), (86_400, "1d"), (86_401, "86401s")],
)
def test_largest_unit_that_divides_is_written(seconds: int, text: str) -> None:
    assert str(Duration(seconds)) == text


@pytest.mark.parametrize(
    "text", ["", "m", "5", "-5m", "1.5h", "5 m", "5M", "1h30m", "\u0665m", "five", "1w", "+5s"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a number and one of s, m, h, d are wanted$"):
        Duration.parse(text)


def test_more_digits_than_any_use_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^too long$"):
        Duration.parse("1" * 10 + "s")


def test_equal_lengths_are_equal_however_they_are_written() -> None:
    assert {Duration.parse("60s"), Duration.parse("1m")} == {Duration(60)}
    assert Duration(60) != Duration(61)
    assert Duration(60) != "1m"


def test_duration_is_immutable_and_survives_copying() -> None:
    duration = Duration(90)
    with pytest.raises(AttributeError, match=r"^Duration is immutable$"):
        duration.seconds = 1
    assert copy.deepcopy(duration) == duration
    assert pickle.loads(pickle.dumps(duration)) == duration  # noqa: S301  our own bytes
    assert repr(duration) == "Duration.parse('90s')"
