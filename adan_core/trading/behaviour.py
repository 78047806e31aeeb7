"""The behaviour engine: real figures in, the agent's wish moved a little, every reason kept.

It stands below the hard limits and above the agent. The arithmetic is ``accounting.behaviour``'s and
``accounting.wishes``'s, which environment and backtest call, too.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import record_trade
from adan_core.accounting.behaviour import (
    FACTORS,
    FIRST_FACTOR,
    LIMIT,
    MODE,
    OUT,
    RISK_MODES,
    modulate,
)
from adan_core.accounting.sizing import tier_index
from adan_core.accounting.wishes import HELD, follow_wish
from adan_core.domain.decisions import BehaviourReading, Factor, PolicyOutput
from adan_core.domain.market import Regime, RegimeReading
from adan_core.domain.portfolio import ClosedTrade
from adan_core.domain.time import Milliseconds
from adan_core.trading.terms import Sizing

Floats = NDArray[np.float64]

_REGIMES: Final = tuple(Regime)
_UNKNOWN: Final = "N/A"
_CONFIDENT: Final = RISK_MODES[-1]
# A factor nearer to 1 than this is not worth a sentence: it would read "x 1.00".
_WORTH_SAYING: Final = 0.005

# What is kept of a symbol's wish: ``wishes.HELD``, then the figures it was weighed on in the order
# of FACTORS, then the kernel's answer, then when.
_FIGURES: Final = HELD
_ANSWER: Final = _FIGURES + len(FACTORS)
_SINCE: Final = _ANSWER + OUT
_KEPT: Final = _SINCE + 1


def _regime(code: float) -> str:
    return str(_REGIMES[int(code)])


def _times_usual(ratio: float) -> str:
    return f"{ratio:.2f} x usual"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _count(losses: float) -> str:
    return f"{losses:.2g} not made good"


def _tier(level: float) -> str:
    return f"{int(level) + 1}"


_SAID: Final[tuple[Callable[[float], str], ...]] = (
    _regime,
    _times_usual,
    _percent,
    _percent,
    _count,
    _tier,
)


@dataclass(frozen=True, slots=True)
class Given:
    """What the agent's wish comes to: exposure (fraction of the cap, NaN to stay) and its protection.

    ``stop_loss`` and ``take_profit`` are fractions of the entry, 0 for none.
    """

    target: float
    stop_loss: float
    take_profit: float


class DynamicBehaviorEngine:
    """Weighs each wish of the agent, symbol by symbol, and remembers what it gave for it.

    ``settings`` are those of ``accounting.behaviour``; they may be replaced while running and count
    from the next new wish on. ``trades_after`` is the journal's: win rates and loss streaks follow
    from all it knows, so that a crash loses and doubles none.
    """

    def __init__(
        self,
        settings: Floats,
        trades_after: Callable[[int], tuple[tuple[int, ClosedTrade], ...]],
    ) -> None:
        self.settings = settings
        self._trades_after = trades_after
        self._kept: dict[str, Floats] = {}
        self._records: dict[str, Floats] = {}
        self._newest = 0

    def give(
        self,
        symbol: str,
        time: Milliseconds,
        reading: RegimeReading,
        equity: float,
        peak: float,
        quantity: float,
        output: PolicyOutput,
        sizing: Sizing,
    ) -> Given:
        """Return what to give for what ``output`` asks at the close ``time``.

        ``equity`` and ``peak`` are the account's and ``quantity`` what is held of ``symbol``. While
        something is held and the same exposure was asked for before, what was given then stays. An
        agent that abstained is given NaN, to stay as it is; protection it says nothing of is that of
        ``sizing``. DataError if the regime's reading does not tell the volatility.
        """
        stop_loss = sizing.stop_loss if output.stop_loss is None else output.stop_loss
        take_profit = sizing.take_profit if output.take_profit is None else output.take_profit
        if output.abstained:
            return Given(math.nan, stop_loss, take_profit)
        target = output.target_exposure
        kept = self._kept.setdefault(symbol, np.full(_KEPT, math.nan, dtype=np.float64))
        if quantity != 0.0 and target == kept[0]:
            return Given(*kept[1:HELD].tolist())
        for sequence, trade in self._trades_after(self._newest):
            record_trade(self._record(trade.symbol), trade.pnl)
            self._newest = sequence
        regime = _REGIMES.index(reading.regime)
        win_rate, streak = self._record(symbol).tolist()
        drawdown = 1.0 - equity / peak if peak > 0.0 else 0.0
        tier = tier_index(equity, sizing.lower_bounds)
        figures = (regime, reading.volatility_ratio, win_rate, drawdown, streak, tier)
        wish = (target, stop_loss, take_profit)
        follow_wish(kept[:HELD], self.settings, *figures, *wish, quantity)
        kept[_FIGURES:_ANSWER] = figures
        modulate(self.settings, *figures, *wish, kept[_ANSWER:_SINCE])
        kept[_SINCE] = time
        return Given(*kept[1:HELD].tolist())

    def reading(self, symbol: str) -> BehaviourReading | None:
        """Return what is given in ``symbol`` and why; None before the first wish and while switched off."""
        kept = self._kept.get(symbol)
        if kept is None or not self.settings.size or self.settings[LIMIT] == 0.0:
            return None
        asked, given, stop_loss, take_profit = kept[:HELD].tolist()
        figures, answer = kept[_FIGURES:_ANSWER].tolist(), kept[_ANSWER:_SINCE].tolist()
        return BehaviourReading(
            mode=RISK_MODES[int(answer[MODE])],
            asked=asked,
            given=given,
            stop_loss=stop_loss,
            take_profit=take_profit,
            factors=tuple(
                Factor(name, _found(place, figure), value)
                for place, (name, figure, value) in enumerate(
                    zip(FACTORS, figures, answer[FIRST_FACTOR:], strict=True)
                )
            ),
            since=int(kept[_SINCE]),
        )

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return copies of what is kept of each symbol's wish; trades are the journal's to keep."""
        return {symbol: kept.copy() for symbol, kept in self._kept.items()}

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken; what another version kept is weighed anew."""
        self._kept = {
            symbol: kept.copy() for symbol, kept in memory.items() if kept.shape == (_KEPT,)
        }

    def _record(self, symbol: str) -> Floats:
        """Return the symbol's win rate and loss streak, as ``record_trade`` moves them."""
        return self._records.setdefault(symbol, np.array([math.nan, 0.0], dtype=np.float64))


def _found(place: int, figure: float) -> str:
    """Say the figure behind the factor at ``place``; a regime or a tier of -1 is unknown, too."""
    return _UNKNOWN if math.isnan(figure) or figure < 0.0 else _SAID[place](figure)


def behaviour_reasons(reading: BehaviourReading) -> tuple[str, ...]:
    """Return one sentence on what is given for the wish, and one per factor that moved it."""
    if reading.given == 0.0:
        return ()
    cut = reading.mode == _CONFIDENT and abs(reading.given) >= 1.0
    return (
        f"risk mode {reading.mode}: {reading.given:.0%} given for {reading.asked:.0%}"
        + (", for more than the cap there is not" if cut else ""),
        *(
            f"{factor.name} {factor.found}: size x {factor.value:.2f}"
            for factor in reading.factors
            if abs(factor.value - 1.0) >= _WORTH_SAYING
        ),
    )
