"""When a candle counts: by a later one, by the exchange's clock, and what is done about one left out."""

from adan_core.data.live_tape import Alignment, Tape
from adan_core.domain.candles import Candle
from adan_core.domain.time import MINUTE, SECOND, Milliseconds

GRACE, PATIENCE = SECOND, 90 * SECOND
BEGIN = 1_700_000_040_000


def at(*numbers: int) -> list[Candle]:
    return [Candle(BEGIN + number * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0) for number in numbers]


def tape(last: int | None = 0) -> Tape:
    return Tape(MINUTE, lambda: GRACE, None if last is None else BEGIN + last * MINUTE)


def read(one: Tape, numbers: tuple[int, ...], asked_at: Milliseconds) -> list[int]:
    released = one.read(at(*numbers), BEGIN + asked_at, None, PATIENCE)
    return [(row.open_time - BEGIN) // MINUTE for row in released]


def test_a_later_candle_closes_the_one_before_and_does_not_count_itself() -> None:
    assert read(tape(), (1, 2), 2 * MINUTE - SECOND) == [1]


def test_without_a_later_one_the_close_and_the_grace_must_have_passed() -> None:
    assert read(tape(), (1,), 2 * MINUTE + GRACE - 1) == []
    assert read(tape(), (1,), 2 * MINUTE + GRACE) == [1]


def test_a_later_opening_that_the_stream_has_shown_closes_it_too() -> None:
    one = tape()
    asked_at = BEGIN + 2 * MINUTE
    assert one.read(at(1), asked_at, BEGIN + MINUTE, PATIENCE) == ()
    assert one.read(at(1), asked_at, BEGIN + 2 * MINUTE, PATIENCE) == tuple(at(1))


def test_a_row_from_the_future_closes_nothing() -> None:
    assert read(tape(), (1, 9), 2 * MINUTE) == []


def test_nothing_is_released_twice_or_out_of_order() -> None:
    one = tape()
    assert read(one, (3, 1, 2, 2, 0, 4), 4 * MINUTE) == [1, 2, 3]
    assert read(one, (1, 2, 3, 4), 4 * MINUTE) == []


def test_the_first_answer_begins_a_tape_that_has_nothing() -> None:
    assert read(tape(None), (5, 6, 7), 7 * MINUTE + SECOND) == [5, 6]


def test_a_candle_left_out_is_waited_for_until_it_is_late_and_two_answers_lack_it() -> None:
    one = tape()
    late = 2 * MINUTE + PATIENCE
    # By then the exchange lists 2 and 3, so that 2 has closed, and leaves 1 out.
    assert read(one, (2, 3), late - 1) == []
    assert one.blocked
    assert read(one, (2, 3), late - 1) == []
    assert read(one, (2, 3), late) == [2]
    assert not one.blocked
    once = tape()
    assert read(once, (2, 3), late) == []
    assert read(once, (1, 2, 3), late) == [1, 2]


def test_many_old_holes_take_two_answers_together() -> None:
    one = tape()
    rows = (2, 5, 6, 9, 12)
    assert read(one, rows, 60 * MINUTE) == []
    assert read(one, rows, 60 * MINUTE) == [2, 5, 6, 9, 12]


def test_a_candle_in_time_is_not_held_late_by_one_that_is() -> None:
    limit = 2 * MINUTE + PATIENCE
    aligned = Alignment(("A", "B"), MINUTE, lambda close: close + PATIENCE)
    aligned.add("A", at(1)[0], BEGIN + 2 * MINUTE)
    assert list(aligned.ready(BEGIN + limit - 1, settle_only=False)) == []
    assert aligned.missing(BEGIN + 2 * MINUTE) == ("B",)
    aligned.add("B", at(1)[0], BEGIN + limit + 1)
    got = list(aligned.ready(BEGIN + limit + 2, settle_only=False))
    assert [(one.candles[0][0], one.settle_only, one.age) for one in got] == [
        ("A", False, PATIENCE + 2),
        ("B", True, PATIENCE + 2),
    ]
