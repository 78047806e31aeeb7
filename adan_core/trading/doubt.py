"""Doubt about the market's prices: two sources of one candle that are too far apart.

While there is doubt, only orders that shrink exposure pass. It is kept in the journal, so that a
restart does not forget it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adan_core.data.live_check import Comparison
from adan_core.domain.alerts import Alarm, Severity
from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import iso
from adan_core.trading.journal import Journal

DOUBT_SCHEMA_VERSION = 1
_KEY = "doubt"


@dataclass(frozen=True, slots=True)
class DoubtLimits:
    """From which relative deviation on a person is told, and from which on exposure only shrinks.

    ``agreeing_candles`` is how many candles in a row must agree again before that ends.
    """

    warning: float
    reducing: float
    agreeing_candles: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two sources that were too far apart, and how many candles they have agreed on since."""

    comparison: Comparison
    agreed: int = 0

    def told(self, needed: int) -> str:
        """Return why exposure may only shrink, as one sentence."""
        one = self.comparison
        return (
            f"{one.symbol} was {one.deviation:.1%} off {one.against} at {iso(one.close_time)}; "
            f"they have agreed on {self.agreed} of {needed} candles since"
        )


@dataclass(frozen=True, slots=True)
class DoubtState:
    """What a restart must know: the doubts by ``symbol, other source``."""

    schema_version: int = DOUBT_SCHEMA_VERSION
    doubts: Mapping[str, Doubt] = field(default_factory=dict)


class MarketDoubt:
    """Follows how far the sources of each candle are apart; ``limits`` may be replaced while running."""

    def __init__(self, limits: DoubtLimits, journal: Journal, alarm: Alarm) -> None:
        self.limits = limits
        self._journal = journal
        self._alarm = alarm
        saved = journal.history.load(_KEY, DoubtState) or DoubtState()
        if saved.schema_version != DOUBT_SCHEMA_VERSION:
            raise SystemFailure(
                f"the doubt about prices has schema version {saved.schema_version}",
                f"{DOUBT_SCHEMA_VERSION}",
                "run the version of ADAN that wrote it",
            )
        self._doubts = dict(saved.doubts)

    @property
    def reason(self) -> str:
        """Why exposure may only shrink; empty while prices can be believed."""
        needed = self.limits.agreeing_candles
        return "; ".join(doubt.told(needed) for doubt in self._doubts.values())

    def compare(self, one: Comparison) -> None:
        """Take in how far one candle's sources are apart; doubt is cast, fed or, in time, lifted."""
        key = f"{one.symbol}, {one.against}"
        doubt = self._doubts.get(key)
        if one.deviation > self.limits.reducing:
            self._doubts[key] = Doubt(one)
            self._alarm(
                f"deviation {key}",
                Severity.CRITICAL,
                f"the candle of {one.symbol} that closed at {iso(one.close_time)} is "
                f"{one.deviation:.1%} off {one.against}: only orders that shrink exposure pass",
            )
        elif one.deviation > self.limits.warning:
            self._alarm(
                f"deviation {key}",
                Severity.WARNING,
                f"the candle of {one.symbol} that closed at {iso(one.close_time)} is "
                f"{one.deviation:.1%} off {one.against}",
            )
            if doubt is not None:
                self._doubts[key] = replace(doubt, agreed=0)
        elif doubt is not None:
            self._doubts[key] = replace(doubt, agreed=doubt.agreed + 1)
            if doubt.agreed + 1 >= self.limits.agreeing_candles:
                del self._doubts[key]
                self._alarm(
                    f"deviation {key}",
                    Severity.INFO,
                    f"{one.symbol} and {one.against} agree again: trading goes on",
                )
        if self._doubts.get(key) != doubt:
            self._keep()

    def lift(self) -> None:
        """Drop every doubt, on a person's typed word, which the caller checked."""
        if self._doubts:
            self._doubts.clear()
            self._keep()

    def _keep(self) -> None:
        self._journal.history.save(_KEY, DoubtState(doubts=self._doubts))
