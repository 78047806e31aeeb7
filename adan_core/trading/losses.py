"""The loss latches: once a day's loss or a drawdown reaches its limit, nothing may be bought.

Time is the market's (closes of candles), so neither a restart nor a changed clock lifts a latch.
"""

from dataclasses import dataclass, replace

from adan_core.domain.time import DAY, Milliseconds

LOSSES_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class LossState:
    """What the latches remember; amounts in quote currency, ``day`` counts UTC days since the epoch.

    ``day_start`` is the equity with which the day began and ``high`` the highest since the last
    re-arming, both moved along by deposits. ``daily_loss`` and ``drawdown`` are fractions of them.
    """

    schema_version: int
    day: int
    day_start: float
    high: float
    equity: float
    deposits: float
    daily_loss: float
    drawdown: float
    daily_latched: bool
    drawdown_latched: bool


def begin(time: Milliseconds, equity: float, deposits: float) -> LossState:
    """Return the state of an account that has lost nothing yet; also that after a re-arming."""
    return LossState(
        schema_version=LOSSES_SCHEMA_VERSION,
        day=time // DAY,
        day_start=equity,
        high=equity,
        equity=equity,
        deposits=deposits,
        daily_loss=0.0,
        drawdown=0.0,
        daily_latched=False,
        drawdown_latched=False,
    )


def advance(
    state: LossState,
    time: Milliseconds,
    equity: float,
    deposits: float,
    daily_limit: float,
    drawdown_limit: float,
) -> LossState:
    """Return the state after the account was worth ``equity`` at ``time``.

    A new UTC day begins with the last equity of the day before and lifts the daily latch; time that
    goes back changes no day. The drawdown latch is lifted by ``begin`` alone. Limits are fractions.
    """
    moved = deposits - state.deposits
    day_start, high, daily_latched = (
        state.day_start + moved,
        state.high + moved,
        state.daily_latched,
    )
    day = time // DAY
    if day > state.day:
        day_start, daily_latched = state.equity + moved, False
    high = max(high, equity)
    daily_loss = 1.0 - equity / day_start if day_start > 0.0 else 1.0
    drawdown = 1.0 - equity / high if high > 0.0 else 1.0
    return replace(
        state,
        day=max(day, state.day),
        day_start=day_start,
        high=high,
        equity=equity,
        deposits=deposits,
        daily_loss=max(daily_loss, 0.0),
        drawdown=drawdown,
        daily_latched=daily_latched or daily_loss >= daily_limit,
        drawdown_latched=state.drawdown_latched or drawdown >= drawdown_limit,
    )
