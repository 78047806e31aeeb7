"""A download stores what comes and asks for what is missing; killed at any instant, it continues."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.data.download import Download, Downloaded, Reached, Stretch
from adan_core.data.findings import FindingCode, Limits, Policy, Treatment, treatable
from adan_core.data.raw import RawCandles
from adan_core.data.series import CandleSeries
from adan_core.data.sources import NewestOnly
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import DAY, HOUR, Milliseconds

_WARN = Treatment.WARN
_HOURLY = Timeframe(HOUR)
_MARKET = SimulatedMarket("BTC/SIM", _HOURLY, 3).candles(0, 1200)
_START, _END = int(_MARKET.open_time[0]), int(_MARKET.close_time[-1])
_PAGE = 50
_AS_TOLD = Policy({code: _WARN for code, allowed in treatable().items() if _WARN in allowed})
"""What only surroundings can tell is kept as found, as the command has it."""


class _Killed(BaseException):
    """The process dies."""


@dataclass
class _Scripted:
    """A source that holds some rows of the market, and dies after so many pages."""

    rows: NDArray[np.bool_]
    dies_after: int | None = None
    asked: list[tuple[Milliseconds, Milliseconds]] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    oldest: Milliseconds = 0
    mangled: bool = False
    description: str = "scripted venue"

    symbol = "BTC/SIM"
    timeframe = _HOURLY
    synthetic = True

    def batches(
        self, since: Milliseconds | None, until: Milliseconds | None
    ) -> Iterator[RawCandles]:
        assert since is not None
        assert until is not None
        self.asked.append((since, until))
        times = _MARKET.open_time
        held = np.flatnonzero(
            self.rows & (times >= max(since, self.oldest)) & (times + HOUR <= until)
        )
        for start in range(0, len(held), _PAGE):
            if self.dies_after is not None:
                if self.dies_after == 0:
                    raise _Killed
                self.dies_after -= 1
            page = held[start : start + _PAGE]
            self.given.extend(page.tolist())
            yield RawCandles.of(_MARKET).take(_mangle(page) if self.mangled else page)
        if since < self.oldest:
            raise NewestOnly("only the newest")


def _mangle(page: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the page's rows with its halves exchanged and its middle one repeated."""
    middle = len(page) // 2
    return np.concatenate([page[middle:], page[:middle], page[middle : middle + 1]])


def _all() -> NDArray[np.bool_]:
    return np.ones(len(_MARKET), dtype=np.bool_)


def _without(*holes: slice) -> NDArray[np.bool_]:
    rows = _all()
    for hole in holes:
        rows[hole] = False
    return rows


def _run(
    source: _Scripted,
    store: CandleStore,
    since: Milliseconds | None = _START,
    until: Milliseconds = _END,
    policy: Policy = _AS_TOLD,
) -> Downloaded:
    return Download(source, store, "data", since, until, policy).run(lambda _: None)


def _expected(rows: NDArray[np.bool_]) -> str:
    raw = RawCandles.of(_MARKET).take(rows)
    return CandleSeries(
        "BTC/SIM",
        _HOURLY,
        raw.open_time,
        raw.open,
        raw.high,
        raw.low,
        raw.close,
        raw.volume,
        synthetic=True,
    ).content_hash


def test_everything_comes_and_nothing_else_changes_it(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)

    done = _run(_Scripted(_all()), store)

    assert (done.added, done.holes, done.shortfall) == (1200, (), None)
    assert done.info.content_hash == _MARKET.content_hash
    assert done.info.source == "scripted venue"
    again = _Scripted(_all())
    assert _run(again, store).added == 0
    assert again.asked == []


@pytest.mark.slow
@given(
    holes=st.lists(st.tuples(st.integers(1, 1190), st.integers(1, 300)), max_size=4),
    deaths=st.lists(st.integers(0, 12), max_size=4),
    starts=st.lists(st.integers(0, 900), min_size=1, max_size=9),
    mangled=st.booleans(),
)
def test_after_any_kills_it_holds_what_an_uninterrupted_one_holds(
    holes: list[tuple[int, int]], deaths: list[int], starts: list[int], mangled: bool
) -> None:
    rows = _without(*(slice(start, start + length) for start, length in holes))
    with TemporaryDirectory() as folder:
        store = CandleStore(Path(folder))
        given: list[int] = []
        for number, dies_after in enumerate(deaths):
            source = _Scripted(rows, dies_after, mangled=mangled)
            since = _START + starts[number % len(starts)] * HOUR
            try:
                _run(source, store, since)
            except _Killed:
                pass
            except DataError:
                assert not rows[(since - _START) // HOUR :].any()
            given += source.given
        last = _Scripted(rows, mangled=mangled)

        done = _run(last, store)

        assert done.info.content_hash == _expected(rows)
        given += last.given
        assert len(given) == len(set(given)), "a candle that was stored was fetched again"


def test_an_earlier_beginning_fetches_only_what_lies_before(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    _run(_Scripted(_all()), store, _START + 700 * HOUR)
    source = _Scripted(_all())

    done = _run(source, store)

    assert source.asked == [(_START, _START + 700 * HOUR)]
    assert done.info.content_hash == _MARKET.content_hash


def test_without_a_beginning_it_continues_at_the_end(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    _run(_Scripted(_without(slice(20, 30))), store, until=_START + 300 * HOUR)
    source = _Scripted(_all())

    done = _run(source, store, since=None)

    assert source.asked == [(_START + 300 * HOUR, _END)]
    assert done.added == 900
    assert done.info.missing == 10


def test_a_hole_is_asked_for_once_more_and_then_told(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    rows = _without(slice(100, 104), slice(900, 901))
    source = _Scripted(rows)

    done = _run(source, store)

    holes = [(_START + 100 * HOUR, _START + 104 * HOUR), (_START + 900 * HOUR, _START + 901 * HOUR)]
    assert source.asked == [(_START, _END), *holes]
    assert [(hole.start, hole.end, hole.candles) for hole in done.holes] == [
        (*holes[0], 4),
        (*holes[1], 1),
    ]
    assert done.longest_holes(1) == done.holes[:1]
    later = _Scripted(rows)
    _run(later, store)
    assert later.asked == holes, "once more in the next run, and not twice"
    filled = _run(_Scripted(_all()), store)
    assert (filled.added, filled.holes) == (5, ())


def test_a_page_that_repeats_and_disorders_rows_is_put_right_with_a_mark(tmp_path: Path) -> None:
    done = _run(
        _Scripted(_all(), mangled=True),
        CandleStore(tmp_path),
        policy=Policy({**_AS_TOLD.treatments, FindingCode.DUPLICATE: Treatment.REFUSE}),
    )

    assert done.info.content_hash == _MARKET.content_hash
    marks = {each.code: each.treatment for each in done.info.findings}
    assert marks == {
        FindingCode.DISORDER: Treatment.MARK,
        FindingCode.DUPLICATE: Treatment.MARK,
    }


def test_a_refused_page_stops_it_and_leaves_the_pages_before(tmp_path: Path) -> None:
    class Spoilt(_Scripted):
        def batches(
            self, since: Milliseconds | None, until: Milliseconds | None
        ) -> Iterator[RawCandles]:
            for number, page in enumerate(super().batches(since, until)):
                if number == 3:
                    page.open[7] = -1.0
                yield page

    store = CandleStore(tmp_path)
    download = Download(Spoilt(_all()), store, "data", _START, _END, _AS_TOLD)

    with pytest.raises(DataError, match="not_a_price"):
        download.run(lambda _: None)

    assert download.added == 3 * _PAGE
    assert store.info("data").rows == 3 * _PAGE


def test_the_operator_s_limits_are_those_a_page_is_judged_by(tmp_path: Path) -> None:
    strict = Policy(
        {**_AS_TOLD.treatments, FindingCode.OUTLIER: Treatment.REFUSE},
        Limits(outlier_spreads=0.1, outlier_ratio=1.0001),
    )

    with pytest.raises(DataError, match="outlier"):
        _run(_Scripted(_all()), CandleStore(tmp_path), policy=strict)


def test_what_a_source_no_longer_keeps_is_told_and_the_rest_is_stored(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    source = _Scripted(_all(), oldest=_START + 800 * HOUR)

    done = _run(source, store)

    assert done.added == 400
    assert isinstance(done.shortfall, NewestOnly)


def test_venues_are_not_mixed(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    _run(_Scripted(_all()), store)

    with pytest.raises(DataError, match="choose another --name"):
        _run(_Scripted(_all(), description="another venue"), store)


def test_what_the_same_venue_told_live_is_continued(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    store.append("data", _MARKET.slice(100, 200), "scripted at another host, live")

    done = _run(_Scripted(_all()), store)

    assert done.added == 1100
    assert done.info.source == "scripted at another host, live + scripted venue"


def test_a_beginning_is_needed_and_candles_too(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)

    with pytest.raises(DataError, match="--since"):
        _run(_Scripted(_all()), store, since=None)
    with pytest.raises(DataError, match="no candle from"):
        _run(_Scripted(_without(slice(0, 1200))), store)
    assert store.names() == ()


def test_a_beginning_within_a_candle_means_the_next_one(tmp_path: Path) -> None:
    done = _run(_Scripted(_all()), CandleStore(tmp_path), since=_START + 1)

    assert done.info.start == _START + HOUR


def test_progress_reaches_its_total_and_counts_time_not_candles(tmp_path: Path) -> None:
    seen: list[Reached] = []
    source = _Scripted(_without(slice(0, 48), slice(1150, 1200)))

    Download(source, CandleStore(tmp_path), "data", _START, _END, _AS_TOLD).run(seen.append)

    whole = [each for each in seen if each.total == 1200]
    assert [each.done for each in whole] == sorted(each.done for each in whole)
    assert whole[0].done == 0
    assert whole[-1].done == 1200
    assert whole[-1].added == 1102
    assert (_END - _START) // DAY == 50


def test_what_was_asked_for_outside_the_candles_there_are_is_told(tmp_path: Path) -> None:
    source = _Scripted(_without(slice(0, 10), slice(1000, 1200)))

    done = _run(source, CandleStore(tmp_path))

    assert done.holes == ()
    assert done.before == Stretch(_START, _START + 10 * HOUR, 10)
    assert done.after == Stretch(_START + 1000 * HOUR, _END, 200)
    again = _run(source, CandleStore(tmp_path), since=None)
    assert (again.before, again.after) == (None, done.after)
    whole = _run(_Scripted(_all()), CandleStore(tmp_path))
    assert (whole.before, whole.after) == (None, None)


def test_only_what_no_other_download_has_stored_meanwhile_counts_as_added(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    other = _Scripted(_without(slice(900, 1200)))

    class _Overtaken(_Scripted):
        """While its second page comes, another download stores three quarters of everything."""

        def batches(
            self, since: Milliseconds | None, until: Milliseconds | None
        ) -> Iterator[RawCandles]:
            for number, page in enumerate(_Scripted.batches(self, since, until)):
                if number == 1:
                    assert _run(other, store).added == 850
                yield page

    done = _run(_Overtaken(_all()), store)

    assert (done.info.rows, done.added) == (1200, 350)
    assert done.added_within == (_START, _END)
    assert _run(_Scripted(_all()), store).added_within is None
