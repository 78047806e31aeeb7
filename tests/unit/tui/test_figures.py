"""Figures are short, aligned in meaning, and a missing one says N/A."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.time import DAY, HOUR, MINUTE, SECOND
from adan_tui import figures


@pytest.mark.parametrize(
    "shown",
    [
        figures.money(None),
        figures.money(math.nan),
        figures.price(None),
        figures.price(math.inf),
        figures.quantity(None),
        figures.percent(None),
        figures.percent(math.nan),
        figures.share(None),
        figures.number(None),
        figures.count(None),
        figures.size(None),
        figures.age(None),
        figures.span(None),
        figures.seconds(None),
        figures.seconds(math.nan),
        figures.latency(None),
        figures.clock(None, utc=True),
        figures.stamp(None, utc=True),
        figures.date(None, utc=True),
    ],
)
def test_what_is_not_known_is_never_a_number(shown: str) -> None:
    assert shown == "N/A"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (figures.money(1_234_567.891), "1,234,567.89"),
        (figures.money(12.3, signed=True), "+12.30"),
        (figures.money(-0.001, signed=True), "+0.00"),
        (figures.price(43_210.129), "43,210.13"),
        (figures.price(1.23456789), "1.2346"),
        (figures.price(0.0123456789), "0.012346"),
        (figures.quantity(0.0321), "0.0321"),
        (figures.quantity(1_250.0), "1,250"),
        (figures.percent(0.0123), "1.23 %"),
        (figures.percent(-0.00001, signed=True), "+0.00 %"),
        (figures.share(41.6), "42 %"),
        (figures.size(512), "512 B"),
        (figures.size(734_003_200), "700 MB"),
        (figures.size(17_179_869_184), "16.0 GB"),
        (figures.size(3 * 1024**4), "3.0 TB"),
        (figures.age(0), "0.0 s"),
        (figures.age(-5), "0.0 s"),
        (figures.age(9_999), "9.9 s"),
        (figures.age(42 * SECOND), "42 s"),
        (figures.age(3 * MINUTE + 5 * SECOND), "3 m 05 s"),
        (figures.age(2 * DAY + 4 * HOUR), "2 d 04 h"),
        (figures.span(45 * MINUTE + 59 * SECOND), "45 m"),
        (figures.span(3 * HOUR + 10 * MINUTE), "3 h 10 m"),
        (figures.running(DAY + HOUR + MINUTE + SECOND), "1 d 01:01:01"),
        (figures.latency(0.42), "0.4 ms"),
        (figures.latency(1_234.5), "1,234 ms"),
        (figures.date(0, utc=True), "1970-01-01 00:00:00"),
        (figures.clock(1_790_000_000_000, utc=True), "14:13:20"),
        (figures.stamp(1_704_100_200_000, utc=True), "01-01 09:10"),
    ],
)
def test_known_figures(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_fills_its_cells_and_grows_with_its_fraction(fraction: float, width: int) -> None:
    filled, rest = figures.bar(fraction, width)
    assert len(filled) + len(rest) == width
    assert len(figures.bar(min(1.0, fraction + 0.1), width)[0]) >= len(filled)


def test_an_unknown_or_wild_fraction_draws_no_false_bar() -> None:
    assert figures.bar(None, 5) == ("", "·····")
    assert figures.bar(math.nan, 5) == ("", "·····")
    assert figures.bar(7.0, 5) == ("█████", "")
    assert figures.bar(-1.0, 5) == ("", "·····")
