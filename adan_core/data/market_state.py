"""What one decision is taken on: the market's state and the account's, checked, ready for a network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.data.normaliser import Normaliser
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds, iso

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EnhancedMarketState:
    """One symbol at the close of one candle.

    ``market`` is a row of the state, float64, not normalised, named by ``columns`` (per timeframe
    the window of its features, then external columns); ``portfolio`` the account's view, named by
    ``PORTFOLIO_COLUMNS``. ``schema_hash`` says which feature set and timeframes it was built by.
    """

    symbol: str
    close_time: Milliseconds
    columns: tuple[str, ...]
    market: Floats
    portfolio: Floats
    schema_hash: str

    def validate(self) -> "EnhancedMarketState":
        """Return the state if every figure is one; DataError names the first that is not."""
        parts = (
            ("market", self.columns, self.market),
            ("portfolio", PORTFOLIO_COLUMNS, self.portfolio),
        )
        for part, names, values in parts:
            if values.shape != (len(names),):
                raise DataError(
                    f"{self.symbol} at {iso(self.close_time)}: {part} of shape {values.shape}",
                    f"{len(names)} columns",
                )
            bad = ~np.isfinite(values)
            if bad.any():
                column = int(np.argmax(bad))
                raise DataError(
                    f"{self.symbol} at {iso(self.close_time)}: {names[column]} is {values[column]}",
                    "a finite number in every column",
                    "no decision is taken on such a state; look at the candles before it",
                )
        return self

    def to_tensor(self, normaliser: Normaliser) -> Singles:
        """Return the observation: the normalised market row, then the portfolio; float32, (n,).

        It is contiguous, so that ``torch.from_numpy`` takes it without a copy; a core needs no
        torch. DataError if the normaliser was fitted on another state.
        """
        normaliser.check(self.schema_hash)
        return np.concatenate([normaliser.apply(self.market), self.portfolio.astype(np.float32)])
