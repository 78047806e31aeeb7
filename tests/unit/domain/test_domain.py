"""Timeframes, clocks and errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import AdanError, DataError
from adan_core.domain.orders import OrderPurpose, OrderStatus
from adan_core.domain.time import DAY, HOUR, MINUTE, ManualClock, SystemClock, iso


@given(st.integers(1, 9999), st.sampled_from("mhd"))
def test_a_timeframe_is_what_was_written(count: int, unit: str) -> None:
    parsed = Timeframe.parse(f"{count}{unit}")
    assert parsed.duration == count * {"m": MINUTE, "h": HOUR, "d": DAY}[unit]
    assert Timeframe.parse(str(parsed)) == parsed


@given(st.text(max_size=6))
def test_anything_else_is_refused(text: str) -> None:
    try:
        parsed = Timeframe.parse(text)
    except DataError:
        return
    assert parsed.duration > 0


def test_timeframes_are_ordered_by_length() -> None:
    assert Timeframe.parse("60m") == Timeframe.parse("1h") < Timeframe.parse("4h")


def test_a_manual_clock_moves_when_told_and_its_monotonic_part_never_back() -> None:
    clock = ManualClock(1000)
    clock.advance(500)
    assert (clock.now(), clock.monotonic()) == (1500, 0.5)
    clock.set(100)
    assert (clock.now(), clock.monotonic()) == (100, 0.5)
    clock.set(1100)
    assert (clock.now(), clock.monotonic()) == (1100, 1.5)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_the_system_clock_is_the_machines() -> None:
    clock = SystemClock()
    assert clock.now() > 1_700_000_000_000
    assert clock.monotonic() <= clock.monotonic()


def test_instants_are_written_in_utc() -> None:
    assert iso(1_704_100_200_000) == "2024-01-01T09:10:00Z"


def test_an_error_says_what_was_found_what_was_expected_and_what_to_do() -> None:
    assert str(AdanError("a", "b", "c")) == "a; expected: b; to mend it: c"
    assert str(AdanError("a")) == "a"


def test_every_error_has_an_exit_code_of_its_kind() -> None:
    codes = {kind.__name__: kind.exit_code for kind in AdanError.__subclasses__()}
    assert all(1 <= code <= 9 for code in codes.values())
    assert codes["DataError"] != codes["ModelError"]


def test_protection_outlives_a_halt_and_nothing_else_does() -> None:
    protective = {purpose for purpose in OrderPurpose if purpose.protective}
    assert protective == {OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT}


def test_an_unknown_order_is_not_over() -> None:
    assert not OrderStatus.UNKNOWN.terminal
    assert OrderStatus.REJECTED.terminal
