"""What a profile means for a run: how it learns, which columns it reads, and how it protects itself."""

from dataclasses import dataclass, replace
from typing import Final

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.profile_settings import PROFILES
from adan_core.config.settings import Learning, Settings
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, ModelError
from adan_core.learning.segments import Economics

NO_PROFILE: Final = "agent"
"""The member of a run without a profile: it learns as the settings of ``learning`` say."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How one member learns and trades; ``columns`` are those of the observation that it reads."""

    name: str
    horizon: int
    columns: tuple[str, ...]
    learning: Learning
    stop_loss: float
    take_profit: float
    lowest_weight: float
    highest_weight: float

    def economics(self, plain: Economics) -> Economics:
        """Return ``plain`` with the member's own stop-loss and take-profit."""
        return replace(plain, stop_loss=self.stop_loss, take_profit=self.take_profit)


def terms_of(
    settings: Settings, profile: str, market: tuple[str, ...], ladder: tuple[Timeframe, ...]
) -> Terms:
    """Return the terms of the member called ``profile``, empty for one without a profile.

    ``market`` are the state's columns. ModelError if there is no such profile, ConfigurationError if
    it reads no timeframe of the ``ladder``.
    """
    learning, risk = settings.learning, settings.risk
    if not profile:
        return Terms(
            name=NO_PROFILE,
            horizon=max(2, round(1.0 / (1.0 - learning.gamma))),
            columns=(*market, *PORTFOLIO_COLUMNS),
            learning=learning,
            stop_loss=risk.stop_loss,
            take_profit=risk.take_profit,
            lowest_weight=0.0,
            highest_weight=1.0,
        )
    if profile not in PROFILES:
        raise ModelError(f"a profile called {profile}", ", ".join(PROFILES))
    own = settings.profiles.of(profile)
    if min(own.rungs) >= len(ladder):
        raise ConfigurationError(
            f"profiles.{profile}.rungs {list(own.rungs)} with the ladder {', '.join(map(str, ladder))}",
            f"one of 0 to {len(ladder) - 1} at least: it would see nothing of the market",
            "name a rung the ladder has, or give the ladder more timeframes",
        )
    unread = {f"{step}" for rung, step in enumerate(ladder) if rung not in own.rungs}
    return Terms(
        name=profile,
        horizon=own.horizon,
        columns=(
            *(name for name in market if name.partition(":")[0] not in unread),
            *PORTFOLIO_COLUMNS,
        ),
        learning=learning.model_copy(
            update={
                "gamma": own.gamma,
                "episode_length": own.episode_length,
                "exposures": tuple(share * own.largest_share for share in learning.exposures),
            }
        ),
        stop_loss=min(own.stop_loss, risk.stop_loss),
        take_profit=own.take_profit,
        lowest_weight=own.lowest_weight,
        highest_weight=own.highest_weight,
    )
