"""The leak checker: what comes after an instant must not change a bit at or before it.

At each instant everything that follows is changed in several ways, the whole pipeline runs again,
and state, normaliser, regime, action and reward up to the instant are compared to the bit with
what they were. A row that reads ``k`` candles ahead differs at every instant less than ``k``
candles after it, and at its own in particular: no reach is too long, no window too wide.

A higher candle has a second rule: it is not seen before it has closed, not even what there is of
it so far. There the candles since its opening are changed, the known ones as well, and only the
columns of its timeframe are compared.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.data.normaliser import Normaliser
from adan_core.data.split import Split
from adan_core.data.state import StateFrame
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds
from adan_core.learning.leakcheck_changes import Change, History, changed
from adan_core.learning.leakcheck_instants import Instant
from adan_core.learning.leakcheck_stages import (
    ACTION_COLUMNS,
    REGIME_COLUMNS,
    REWARD_COLUMNS,
    Pipeline,
    Stage,
)
from adan_core.learning.market import segment
from adan_core.learning.regime import RegimeHistory
from adan_core.learning.regime_model import REGIMES

Floats = NDArray[np.float64]

FORMING: Final = "a forming {} candle"
# An account is opened this many candles before each instant, and plays this many beyond it.
_PLAYED_BEFORE = 48
_PLAYED_BEYOND = 3


@dataclass(frozen=True, slots=True)
class Leak:
    """The first place at which a stage knew what it could not know.

    ``bar`` is the candle whose row differs and ``time`` its close; ``expected`` the value as it
    was, ``found`` with other candles after the close of candle ``instant``, as ``change`` says.
    """

    column: str
    bar: int
    time: Milliseconds
    expected: str
    found: str
    instant: int
    instant_time: Milliseconds
    change: str


@dataclass(frozen=True, slots=True)
class StageResult:
    """One stage: how many columns were compared how often, and what was found.

    ``ahead`` is how many candles ahead a row was seen to read (0: only a higher candle that
    forms); ``leaking`` names every column that differed anywhere.
    """

    stage: Stage
    columns: int
    comparisons: int
    leak: Leak | None
    leaking: tuple[str, ...]
    ahead: int


@dataclass(frozen=True, slots=True)
class LeakReport:
    """The answer of the leak checker; ``instants`` says where it looked, and why there."""

    candles: int
    start: Milliseconds
    stop: Milliseconds
    instants: tuple[Instant, ...]
    stages: tuple[StageResult, ...]

    @property
    def cause(self) -> StageResult | None:
        """The first stage with a leak; the stages after it may only pass it on. None: clean."""
        return next((result for result in self.stages if result.leak), None)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """What one stage said: row 0 of ``rows`` belongs to candle ``first``."""

    columns: tuple[str, ...]
    rows: Floats
    first: int


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """The pipeline's answers on the candles as they are."""

    history: History
    split: Split
    frame: StateFrame
    normaliser: Normaliser
    regimes: RegimeHistory


class _Ledger:
    """What one stage's comparisons have come to."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._columns = 0
        self._comparisons = 0
        self._leak: Leak | None = None
        self._leaking: dict[str, None] = {}
        self._ahead = 0

    def compare(
        self, before: _Table, after: _Table, instant: int, change: str, history: History, ahead: int
    ) -> None:
        """Compare all rows at or before ``instant``; ``ahead`` 0 if what was changed was known.

        A row that is lacking now differs in every column.
        """
        rows = min(len(before.rows), instant + 1 - before.first)
        if rows < 1:
            return
        self._columns = max(self._columns, len(before.columns))
        self._comparisons += 1
        there = min(rows, len(after.rows))
        old = np.ascontiguousarray(before.rows[:rows])
        new = np.full_like(old, np.nan)
        new[:there] = after.rows[:there]
        differs = old.view(np.int64) != new.view(np.int64)
        if differs.any():
            # A figure that is not there yet is the same, whatever the bits that say so.
            differs &= ~(np.isnan(old) & np.isnan(new))
        differs[there:] = True
        if not differs.any():
            return
        self._leaking |= {before.columns[place]: None for place in np.flatnonzero(differs.any(0))}
        row = int(np.argmax(differs.any(axis=1)))
        bar = before.first + row
        self._ahead = max(self._ahead, ahead * (instant + 1 - bar))
        if self._leak is None or bar < self._leak.bar:
            place = int(np.argmax(differs[row]))
            close_time = history.series.close_time
            self._leak = Leak(
                column=before.columns[place],
                bar=bar,
                time=int(close_time[bar]),
                expected=_text(before.columns[place], old[row, place]),
                found=_text(before.columns[place], new[row, place]) if row < there else "no row",
                instant=instant,
                instant_time=int(close_time[instant]),
                change=change,
            )

    def result(self) -> StageResult:
        return StageResult(
            self._stage,
            self._columns,
            self._comparisons,
            self._leak,
            tuple(self._leaking),
            self._ahead,
        )


def check(
    pipeline: Pipeline,
    history: History,
    ladder: tuple[Timeframe, ...],
    split: Split,
    instants: Sequence[Instant],
    seed: int,
    progress: Callable[[float], None],
) -> LeakReport:
    """Run ``pipeline`` on ``history`` and on what it becomes when all after an instant is changed.

    ``progress`` is told the share done. DataError if the training part ends before the first rows
    that have every column.
    """
    frame = pipeline.state(history)
    if split.training.stop - frame.ready < 2:
        raise DataError(
            f"{len(history.series)} candles, of which {split.training.stop} train",
            f"more than the {frame.ready} that the indicators need to warm up",
            "check a longer series",
        )
    base = _Base(
        history,
        split,
        frame,
        pipeline.normaliser(history, frame, split),
        pipeline.regime(history.series),
    )
    ledgers = {stage: _Ledger(stage) for stage in Stage}
    reach = 2 * (ladder[-1].duration // ladder[0].duration) + 8
    for number, instant in enumerate(instants):
        progress(number / len(instants))
        # A changed history that no market makes may divide by nothing; what matters is the bits.
        with np.errstate(all="ignore"):
            _check_future(pipeline, base, instant.bar, reach, seed, ledgers)
            _check_forming(pipeline, base, ladder, instant.bar, reach, seed, ledgers[Stage.STATE])
    progress(1.0)
    series = history.series
    return LeakReport(
        len(series),
        int(series.open_time[0]),
        int(series.close_time[-1]),
        tuple(instants),
        tuple(ledger.result() for ledger in ledgers.values()),
    )


def _check_future(
    pipeline: Pipeline,
    base: _Base,
    bar: int,
    reach: int,
    seed: int,
    ledgers: dict[Stage, _Ledger],
) -> None:
    """Change everything after the close of candle ``bar``, and compare every stage up to it."""
    before = dict(
        _tables(pipeline, base.history, base.frame, base.normaliser, base.regimes, base.split, bar)
    )
    for change in Change:
        other = changed(base.history, bar + 1, change, reach, seed)
        frame = pipeline.state(other)
        if len(frame.market) < bar + 1:
            # Rows were dropped: nothing that is computed from them can be told by its candle.
            short = _Table(frame.columns, frame.market, 0)
            ledgers[Stage.STATE].compare(before[Stage.STATE], short, bar, change, base.history, 1)
            continue
        # What was measured with a candle that is changed now may differ: it is not compared.
        fitted = base.split.training.stop <= bar + 1
        normaliser = (
            pipeline.normaliser(other, _as_ready_by(frame, bar), base.split)
            if fitted
            else base.normaliser
        )
        after = _tables(
            pipeline, other, frame, normaliser, pipeline.regime(other.series), base.split, bar
        )
        for stage, table in after:
            if stage in before and (fitted or stage is not Stage.NORMALISER):
                ledgers[stage].compare(before[stage], table, bar, change, base.history, 1)


def _check_forming(
    pipeline: Pipeline,
    base: _Base,
    ladder: tuple[Timeframe, ...],
    bar: int,
    reach: int,
    seed: int,
    ledger: _Ledger,
) -> None:
    """Change the higher candle that is forming at candle ``bar`` from its opening on."""
    series = base.history.series
    for higher in ladder[1:]:
        opened = int(series.open_time[bar]) // higher.duration * higher.duration
        first = series.index_at(opened)
        if int(series.close_time[bar]) == opened + higher.duration or first == 0:
            continue  # it has just closed, or nothing is known before it
        columns = [
            place for place, name in enumerate(base.frame.columns) if name.startswith(f"{higher}:")
        ]
        other = changed(base.history, first, Change.STORM, bar + 1 - first + reach, seed)
        names = tuple(base.frame.columns[place] for place in columns)
        ledger.compare(
            _Table(names, base.frame.market[: bar + 1, columns], 0),
            _Table(names, pipeline.state(other).market[: bar + 1, columns], 0),
            bar,
            FORMING.format(higher),
            base.history,
            0,
        )


def _tables(
    pipeline: Pipeline,
    history: History,
    frame: StateFrame,
    normaliser: Normaliser,
    regimes: RegimeHistory,
    split: Split,
    bar: int,
) -> Iterator[tuple[Stage, _Table]]:
    """Yield what each stage says up to candle ``bar`` and, where it plays, a few beyond."""
    yield Stage.STATE, _Table(frame.columns, frame.market, 0)
    yield Stage.NORMALISER, _statistics(normaliser, frame.columns, split.training.stop - 1)
    labelled = np.column_stack([regimes.regimes.astype(np.float64), regimes.probabilities])
    yield Stage.REGIME, _Table(REGIME_COLUMNS, labelled, 0)
    known = _as_ready_by(frame, bar)
    start = max(bar - _PLAYED_BEFORE, known.ready)
    part = segment(
        history.series,
        known,
        pipeline.sealed or normaliser,
        pipeline.economics,
        start,
        # A detector that says nothing of the last rows has leaked above; they cannot be played.
        min(bar + 1 + _PLAYED_BEYOND, len(history.series), len(regimes.regimes)),
        regimes=regimes,
    )
    # Where a figure is missing no agent decides: the state has said so already.
    missing = np.flatnonzero(~np.isfinite(part.market).all(axis=1))
    part = part.part(0, int(missing[0]) if missing.size else len(part))
    if len(part) >= 2:
        played = pipeline.play(part)
        yield Stage.ACTION, _Table(ACTION_COLUMNS, played.actions, start)
        yield Stage.REWARD, _Table(REWARD_COLUMNS, played.rewards, start + 1)


def _statistics(normaliser: Normaliser, columns: tuple[str, ...], bar: int) -> _Table:
    """Return a normaliser as one row, known at the close of ``bar``, the last it was fitted on."""
    names = [f"{name} {figure}" for name in columns for figure in ("mean", "deviation")]
    figures = np.column_stack([normaliser.mean, normaliser.deviation]).ravel()
    period = np.array([normaliser.start_time, normaliser.stop_time], dtype=np.float64)
    return _Table(
        (*names, "start_time", "stop_time"), np.concatenate([figures, period])[None, :], bar
    )


def _as_ready_by(frame: StateFrame, bar: int) -> StateFrame:
    """Return ``frame`` ready from the row from which nothing is missing up to ``bar``."""
    if frame.ready <= bar + 1:
        return frame
    missing = np.flatnonzero(np.isnan(frame.market[: bar + 1]).any(axis=1))
    return replace(frame, ready=int(missing[-1]) + 1 if missing.size else 0)


def _text(column: str, value: float) -> str:
    """Return a value so that no two different ones look the same."""
    if column == REGIME_COLUMNS[0]:
        return str(REGIMES[int(value)]) if value >= 0.0 else "none yet"
    return repr(float(value))
