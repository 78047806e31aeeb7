"""The catalogue: one defect planted for every kind of finding, found under its name, in its place.

Candles are those of simulated markets, which have no defect; where the defect goes, chance decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.data.agreement import compare
from adan_core.data.files import Reading, examine
from adan_core.data.findings import Finding, FindingCode, Place, Policy, Treatment, treatable
from adan_core.data.raw import RawCandles
from adan_core.data.synthetic import SimulatedMarket
from adan_core.data.validation import validate
from adan_core.domain.candles import Timeframe

HOUR = Timeframe.parse("1h")
COUNT = 700
YEARS = 18_000
NAMES = ("open", "high", "low", "close")
CODE = FindingCode
Values = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one planted defect, and where it should have been found first."""

    findings: tuple[Finding, ...]
    place: Place | None
    count: int = 1


Planter = Callable[[RawCandles, int, Path], Found]
PLANTERS: list[tuple[FindingCode, Planter]] = []


def plants(code: FindingCode) -> Callable[[Planter], Planter]:
    def remember(planter: Planter) -> Planter:
        PLANTERS.append((code, planter))
        return planter

    return remember


def market(seed: int, count: int = COUNT) -> RawCandles:
    return RawCandles.of(SimulatedMarket("BTC/SIM", HOUR, seed).candles(0, count))


def changed(candles: RawCandles, **columns: Values) -> RawCandles:
    return RawCandles(
        *(columns.get(each.name, getattr(candles, each.name)) for each in fields(candles))
    )


def with_values(candles: RawCandles, at: int | slice, **values: object) -> RawCandles:
    columns = {name: getattr(candles, name).copy() for name in values}
    for name, value in values.items():
        columns[name][at] = value
    return changed(candles, **columns)


def place(candles: RawCandles, index: int) -> Place:
    return Place(int(candles.row[index]), int(candles.open_time[index]))


def judged(candles: RawCandles, where: Place | None, count: int = 1) -> Found:
    return Found(validate(candles, HOUR, Policy()).findings, where, count)


def without(candles: RawCandles, at: int, missing: int) -> RawCandles:
    """Return the candles with a hole after ``at``, between two candles of ordinary volume."""
    usual = float(np.median(candles.volume))
    for index in (at, at + missing + 1):
        candles = with_values(candles, index, volume=usual)
    keep = np.ones(len(candles), dtype=np.bool_)
    keep[at + 1 : at + 1 + missing] = False
    return candles.take(keep)


def read(table: pl.DataFrame, folder: Path, where: Place | None, above: str = "") -> Found:
    path = folder / "BTCUSDT_1h.csv"
    path.write_text(above + table.write_csv())
    return Found(examine(path, Reading()).findings, where)


def table_of(candles: RawCandles) -> pl.DataFrame:
    return pl.DataFrame(
        {"time": candles.open_time} | {name: getattr(candles, name) for name in (*NAMES, "volume")}
    )


@plants(CODE.COLUMNS)
def _columns(candles: RawCandles, at: int, folder: Path) -> Found:
    return read(table_of(candles), folder, None)


@plants(CODE.CLOSE_STAMPS)
def _close_stamps(candles: RawCandles, at: int, folder: Path) -> Found:
    path = folder / "BTCUSDT_1h_closelabel.csv"
    table_of(candles).write_csv(path)
    return Found(examine(path, Reading()).findings, None)


@plants(CODE.PREAMBLE)
def _preamble(candles: RawCandles, at: int, folder: Path) -> Found:
    return read(table_of(candles), folder, None, above="from a vendor's hand\n")


@plants(CODE.TIME_ZONE)
def _time_zone(candles: RawCandles, at: int, folder: Path) -> Found:
    text = pl.Series("time", candles.open_time).cast(pl.Datetime("ms")).dt.to_string()
    return read(table_of(candles).with_columns(text), folder, None)


@plants(CODE.TIME_UNITS)
def _time_units(candles: RawCandles, at: int, folder: Path) -> Found:
    stamps = candles.open_time.copy()
    stamps[at] //= 1000
    table = table_of(candles).with_columns(pl.Series("time", stamps))
    return read(table, folder, place(candles, at))


@plants(CODE.VOLUME_UNITS)
def _volume_units(candles: RawCandles, at: int, folder: Path) -> Found:
    base, quote = candles.volume, candles.volume * candles.close
    here = np.arange(len(candles)) == at
    table = table_of(candles).with_columns(
        pl.Series("volume", np.where(here, quote, base)),
        pl.Series("volume_quote", np.where(here, base, quote)),
    )
    return read(table, folder, place(candles, at))


@plants(CODE.NOT_A_PRICE)
def _not_a_price(candles: RawCandles, at: int, folder: Path) -> Found:
    value = (0.0, -1.0, float("nan"), float("inf"))[at % 4]
    bad = with_values(candles, at, **{NAMES[at % 3]: value})
    return judged(bad, place(candles, at))


@plants(CODE.OHLC)
def _ohlc(candles: RawCandles, at: int, folder: Path) -> Found:
    bad = with_values(candles, at, high=candles.close[at] * 0.99)
    if at % 2:
        bad = with_values(candles, at, low=candles.open[at] * 1.01)
    return judged(bad, place(candles, at))


@plants(CODE.BAD_VOLUME)
def _bad_volume(candles: RawCandles, at: int, folder: Path) -> Found:
    value = (-1.0, float("nan"), float("inf"))[at % 3]
    return judged(with_values(candles, at, volume=value), place(candles, at))


@plants(CODE.OFF_GRID)
def _off_grid(candles: RawCandles, at: int, folder: Path) -> Found:
    bad = with_values(candles, at, open_time=candles.open_time[at] + 14_789)
    return judged(bad, place(bad, at))


@plants(CODE.UNFINISHED)
def _unfinished(candles: RawCandles, at: int, folder: Path) -> Found:
    part = candles.take(slice(0, at + 1))
    now = int(part.open_time[-1]) + HOUR.duration - 1
    return Found(validate(part, HOUR, Policy(), now).findings, place(candles, at))


@plants(CODE.DESCENDING)
def _descending(candles: RawCandles, at: int, folder: Path) -> Found:
    return judged(candles.take(slice(None, None, -1)), None)


@plants(CODE.DISORDER)
def _disorder(candles: RawCandles, at: int, folder: Path) -> Found:
    order = np.delete(np.arange(len(candles)), at)
    moved = candles.take(np.insert(order, at + 5, at))
    return judged(moved, place(candles, at))


@plants(CODE.TIME_SHIFT)
def _clock_changes(candles: RawCandles, at: int, folder: Path) -> Found:
    """The stamps of a vendor who writes local time, and keeps the first of two in autumn."""
    zone = ("Europe/Berlin", "America/New_York", "Australia/Sydney", "Europe/London")[at % 4]
    long = market(at % 3, YEARS)
    utc = pl.Series(long.open_time).cast(pl.Datetime("ms", "UTC"))
    local = utc.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.timestamp("ms")
    stamped = changed(long, open_time=local.to_numpy())
    if at % 2:
        stamped = stamped.take(np.unique(stamped.open_time, return_index=True)[1])
    steps = np.diff(np.sort(stamped.open_time))
    odd = int(np.flatnonzero(steps != HOUR.duration)[0])
    if steps[odd] == 0:
        odd -= 1  # the place is the last candle before the hour, skipped or shown twice
    return judged(stamped, place(stamped, odd))


@plants(CODE.TIME_SHIFT)
def _shifted(candles: RawCandles, at: int, folder: Path) -> Found:
    hours = at % 12 - 12
    shifted = changed(candles, open_time=candles.open_time + hours * HOUR.duration)
    told = compare(shifted, candles, HOUR, Policy())
    assert told.shift == -hours * HOUR.duration
    return Found(tuple(found for found, _ in told.findings), place(shifted, 0))


@plants(CODE.DUPLICATE)
def _duplicate(candles: RawCandles, at: int, folder: Path) -> Found:
    twice = candles.take(np.insert(np.arange(len(candles)), at, at))
    return judged(twice, place(candles, at))


@plants(CODE.CONFLICT)
def _conflict(candles: RawCandles, at: int, folder: Path) -> Found:
    twice = candles.take(np.insert(np.arange(len(candles)), at, at))
    return judged(with_values(twice, at, volume=1e6), place(candles, at))


@plants(CODE.OUTLIER)
def _outlier(candles: RawCandles, at: int, folder: Path) -> Found:
    bad = with_values(candles, at, high=candles.high[at] * 8.0)
    if at % 2:
        bad = with_values(candles, at, low=candles.low[at] / 8.0)
    return judged(bad, place(candles, at))


@plants(CODE.PRICE_STEP)
def _price_step(candles: RawCandles, at: int, folder: Path) -> Found:
    factor = (100.0, 0.01, 1e8, 10.0)[at % 4]
    later = slice(at, None)
    bad = with_values(
        candles, later, **{name: getattr(candles, name)[later] * factor for name in NAMES}
    )
    return judged(bad, place(candles, at))


@plants(CODE.VOLUME_STEP)
def _volume_step(candles: RawCandles, at: int, folder: Path) -> Found:
    later = slice(at, None)
    quote = candles.volume * candles.close
    return judged(with_values(candles, later, volume=quote[later]), place(candles, at))


@plants(CODE.STUCK)
def _frozen(candles: RawCandles, at: int, folder: Path) -> Found:
    last = float(candles.close[at - 1])
    bad = with_values(candles, slice(at, at + 14), **dict.fromkeys(NAMES, last))
    return judged(bad, place(candles, at + 1))  # the first one still moved, to where it stays


@plants(CODE.STUCK)
def _copied(candles: RawCandles, at: int, folder: Path) -> Found:
    values = {name: getattr(candles, name)[at - 1] for name in (*NAMES, "volume")}
    return judged(with_values(candles, slice(at, at + 4), **values), place(candles, at))


def _line(candles: RawCandles, at: int, count: int, names: tuple[str, ...]) -> RawCandles:
    steps = np.arange(1, count + 1) / (count + 1)
    lines = {}
    for name in names:
        first, last = getattr(candles, name)[[at - 1, at + count]]
        lines[name] = first + (last - first) * steps
    return with_values(candles, slice(at, at + count), **lines)


@plants(CODE.INTERPOLATED)
def _interpolated(candles: RawCandles, at: int, folder: Path) -> Found:
    return judged(_line(candles, at, 4, (*NAMES, "volume")), place(candles, at))


@plants(CODE.INTERPOLATED)
def _drawn(candles: RawCandles, at: int, folder: Path) -> Found:
    slope = 1.0 + 0.002 * np.arange(1, 10)
    lines = {name: np.round(getattr(candles, name)[at - 1] * slope, 2) for name in NAMES}
    return judged(with_values(candles, slice(at, at + 9), **lines), place(candles, at))


@plants(CODE.ZERO_VOLUME)
def _zero_volume(candles: RawCandles, at: int, folder: Path) -> Found:
    return judged(with_values(candles, at, volume=0.0), place(candles, at))


@plants(CODE.GAP)
def _gap(candles: RawCandles, at: int, folder: Path) -> Found:
    return judged(without(candles, at, 1 + at % 9), place(candles, at))


@plants(CODE.MISSING)
def _missing(candles: RawCandles, at: int, folder: Path) -> Found:
    return judged(without(candles, at, 1 + at % 9), place(candles, at))


@plants(CODE.OUTAGE)
def _cut_short(candles: RawCandles, at: int, folder: Path) -> Found:
    holed = without(candles, at, 6)
    broken = with_values(holed, at, volume=holed.volume.min() / 50.0)
    return judged(broken, place(candles, at))


@plants(CODE.OUTAGE)
def _rush(candles: RawCandles, at: int, folder: Path) -> Found:
    holed = without(candles, at, 6)
    return judged(with_values(holed, at + 1, volume=holed.volume.max() * 2.0), place(candles, at))


@plants(CODE.OUTAGE)
def _written_on(candles: RawCandles, at: int, folder: Path) -> Found:
    idle = slice(at - 5, at + 1)
    last = dict.fromkeys(NAMES, float(candles.close[at - 6]))
    holed = with_values(without(candles, at, 6), idle, volume=0.0, **last)
    return judged(holed, place(candles, at))


@plants(CODE.OUTAGE)
def _written_through(candles: RawCandles, at: int, folder: Path) -> Found:
    idle = slice(at, at + 30)
    last = dict.fromkeys(NAMES, float(candles.close[at - 1]))
    return judged(with_values(candles, idle, volume=0.0, **last), place(candles, at))


@plants(CODE.NO_TRADE)
def _no_trade(candles: RawCandles, at: int, folder: Path) -> Found:
    """A thin market: the less is traded around, the likelier a candle had no trade at all."""
    chance = np.random.default_rng(at).random(len(candles))
    around = np.convolve(candles.volume, np.ones(5), mode="same")
    idle = (chance < 0.8) & (around < np.quantile(around, 0.25))
    idle[::5] = False  # what lasts longer would be no chance even here
    idle[-1] = False
    thin = candles.take(~idle)
    holes = np.flatnonzero(np.diff(thin.open_time) > HOUR.duration)
    longest = holes[np.argmax(np.diff(thin.open_time)[holes])]
    return judged(thin, place(thin, int(longest)), int(holes.size))


@plants(CODE.STALE)
def _stale(candles: RawCandles, at: int, folder: Path) -> Found:
    part = candles.take(slice(0, at + 1))
    now = int(part.open_time[-1]) + 2 * HOUR.duration + HOUR.duration // 10 + 1
    assert not validate(part, HOUR, Policy(), now - 1, fresh=True).findings
    assert not validate(part, HOUR, Policy(), now).findings
    return Found(validate(part, HOUR, Policy(), now, fresh=True).findings, place(candles, at))


@plants(CODE.DEVIATION)
def _deviation(candles: RawCandles, at: int, folder: Path) -> Found:
    other = with_values(candles, at, high=candles.high[at] * 1.07)
    told = compare(candles, other, HOUR, Policy())
    return Found(tuple(found for found, _ in told.findings), place(candles, at))


@plants(CODE.CONTRADICTION)
def _contradiction(candles: RawCandles, at: int, folder: Path) -> Found:
    other = with_values(candles, at, low=candles.low[at] * 0.89)
    told = compare(candles, other, HOUR, Policy())
    return Found(tuple(found for found, _ in told.findings), place(candles, at))


# What comes with a defect by its nature; anything else beside it would be a false alarm.
COMPANIONS: dict[FindingCode, set[FindingCode]] = {
    CODE.OFF_GRID: {CODE.GAP, CODE.MISSING, CODE.OUTAGE},
    CODE.NOT_A_PRICE: {CODE.GAP, CODE.MISSING, CODE.OUTAGE},
    CODE.OHLC: {CODE.GAP, CODE.MISSING, CODE.OUTAGE},
    CODE.BAD_VOLUME: {CODE.GAP, CODE.MISSING, CODE.OUTAGE},
    CODE.OUTLIER: {CODE.GAP, CODE.MISSING, CODE.OUTAGE},
    CODE.STUCK: {CODE.GAP, CODE.MISSING, CODE.OUTAGE},
    CODE.GAP: {CODE.MISSING},
    CODE.MISSING: {CODE.GAP},
    CODE.OUTAGE: {CODE.GAP, CODE.ZERO_VOLUME},
    CODE.NO_TRADE: {CODE.GAP},
    CODE.TIME_SHIFT: {
        CODE.GAP, CODE.MISSING, CODE.OUTAGE, CODE.CONFLICT, CODE.DEVIATION, CODE.CONTRADICTION,
    },
}  # fmt: skip


def test_every_kind_of_finding_has_a_planted_case() -> None:
    assert {code for code, _ in PLANTERS} == set(FindingCode)


@pytest.mark.parametrize(
    ("code", "planter"), PLANTERS, ids=[planter.__name__[1:] for _, planter in PLANTERS]
)
@settings(max_examples=10)
@given(seed=st.integers(0, 50), at=st.integers(120, COUNT - 130))
def test_a_planted_defect_is_found_placed_and_the_only_one(
    code: FindingCode, planter: Planter, tmp_path: Path, seed: int, at: int
) -> None:
    told = planter(market(seed), at, tmp_path)
    found = {each.code: each for each in told.findings}
    assert code in found
    own = found[code]
    if told.place is not None:
        assert own.places[0] == told.place
    if code is not CODE.TIME_SHIFT:
        assert own.count == told.count
    assert own.treatment is (Policy().of(code) if code in treatable() else None)
    assert set(found) <= {code, CODE.COLUMNS} | COMPANIONS.get(code, set())
    if own.treatment is Treatment.REFUSE:
        assert own.severity == "critical"


@given(
    seed=st.integers(0, 10_000),
    timeframe=st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d"]),
    tick=st.sampled_from([0.01, 1.0, 25.0]),
)
def test_a_market_without_defects_has_no_finding(seed: int, timeframe: str, tick: float) -> None:
    span = Timeframe.parse(timeframe)
    series = SimulatedMarket("BTC/SIM", span, seed, tick).candles(0, 2_000)
    assert validate(RawCandles.of(series), span, Policy()).findings == ()
