"""A model on paper fills of its own, beside whatever trades: the backtest's account, candle by candle."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import ACCOUNT_COLUMNS, EQUITY, OPENED, open_account
from adan_core.accounting.purse import Tape, position_cap, step_purses
from adan_core.domain.candles import Candle
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.errors import ModelError
from adan_core.domain.time import Milliseconds
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.environment_episodes import PORTFOLIO_SIZE, write_portfolio
from adan_core.learning.segments import Economics

_PRICES: Final = 4
_TAPE: Final = _PRICES + 2
_WISH: Final = 3
_STARTED: Final = ACCOUNT_COLUMNS + _TAPE + _WISH
_SIZE: Final = _STARTED + 1
_POLICY: Final = "policy:"
_ACCOUNT: Final = "account:"
_MADE: Final = Candle(0, 1.0, 1.0, 1.0, 1.0, 1.0)


class ShadowAccount:
    """One symbol's purse: a wish at a close is carried out within the next candle, as in a backtest."""

    def __init__(self, economics: Economics, capital: float) -> None:
        self._cap = economics.cap
        self._figures = economics.as_array()[None, :]
        self._limits = economics.limits()
        self._rows = np.zeros((1, ACCOUNT_COLUMNS), dtype=np.float64)
        open_account(self._rows[0], capital)
        self._place = np.zeros((1, 1), dtype=np.int64)
        self._tape = Tape(
            np.zeros(2),
            np.zeros(2),
            np.zeros(2),
            np.zeros(2),
            np.full(2, -1, dtype=np.int8),
            np.full(2, np.nan),
        )
        self._wish = np.full((_WISH, 1), np.nan)
        self._started = False

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return tuple(self._tape)

    @property
    def equity(self) -> float:
        """What the purse is worth at the newest close, in quote currency."""
        return float(self._rows[0, EQUITY])

    def candle(self, candle: Candle, regime: int, volatility: float) -> None:
        """Carry out the wish of the last close within ``candle``; the wish is then spent."""
        newest = (candle.open, candle.high, candle.low, candle.close, regime, volatility)
        for column, value in zip(self._columns(), newest, strict=True):
            column[0], column[1] = column[1], value
        if self._started:
            # The tape holds two candles, so the bar of the entry moves back by one with each.
            self._rows[0, OPENED] -= 1.0
            step_purses(
                self._rows,
                self._place,
                self._figures,
                self._tape,
                self._limits,
                self._wish[0],
                self._wish[1],
                self._wish[2],
                1,
            )
        self._started = True
        self._wish[:] = np.nan

    def wish(self, output: PolicyOutput) -> None:
        """Ask for what a policy answered at the newest close."""
        self._wish[:, 0] = (
            output.target_exposure,
            math.nan if output.stop_loss is None else output.stop_loss,
            math.nan if output.take_profit is None else output.take_profit,
        )

    def portfolio(self) -> NDArray[np.float64]:
        """Return what an agent sees of the account at the newest close."""
        out = np.zeros(PORTFOLIO_SIZE, dtype=np.float64)
        cap = position_cap(self.equity, self._limits.tiers, self._cap)
        write_portfolio(self._rows[0], cap, float(self._tape.close[1]), 1, out)
        return out

    def memory(self) -> NDArray[np.float64]:
        """Return all that is carried from candle to candle."""
        newest = [float(column[1]) for column in self._columns()]
        return np.concatenate(
            (self._rows[0], newest, self._wish[:, 0], [1.0 if self._started else 0.0])
        )

    def restore(self, memory: NDArray[np.float64]) -> None:
        """Go on from where ``memory`` was taken; ModelError if another version left it."""
        if memory.shape != (_SIZE,):
            raise ModelError("a shadow account of another version", f"{_SIZE} figures")
        self._rows[0] = memory[:ACCOUNT_COLUMNS]
        newest = memory[ACCOUNT_COLUMNS : ACCOUNT_COLUMNS + _TAPE]
        for column, value in zip(self._columns(), newest, strict=True):
            column[1] = value
        self._wish[:, 0] = memory[_STARTED - _WISH : _STARTED]
        self._started = bool(memory[_STARTED])


class Shadow:
    """One model's accounts, one purse per symbol: it follows decisions, or takes its own."""

    def __init__(
        self, model: ServiceModel, economics: Mapping[str, Economics], capital: float
    ) -> None:
        self.model = model
        self._policy = model.open_policy()
        self._accounts = {
            symbol: ShadowAccount(terms, capital) for symbol, terms in economics.items()
        }
        self._capital = capital * len(self._accounts)
        self._peak = self._capital
        self._candles = 0

    def prepare(self) -> None:
        """Step a scratch account, so that a real candle compiles nothing."""
        for account in self._accounts.values():
            untouched = account.memory()
            for _ in range(2):
                account.candle(_MADE, -1, math.nan)
            account.portfolio()
            account.restore(untouched)

    def candle(self, symbol: str, candle: Candle, regime: int, volatility: float) -> None:
        """Let one closed candle of ``symbol`` pass over its purse."""
        self._accounts[symbol].candle(candle, regime, volatility)

    def passed(self) -> None:
        """An instant is over: count it, and raise the peak if need be."""
        self._candles += 1
        self._peak = max(self._peak, self.equity)

    def follow(self, symbol: str, output: PolicyOutput) -> None:
        """Ask for what the model answered where it is in service."""
        self._accounts[symbol].wish(output)

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        market: NDArray[np.float64],
        regime: int,
    ) -> PolicyOutput:
        """Let the model decide on its own account; ``market`` is the state, not normalised."""
        account = self._accounts[symbol]
        seen = self.model.normaliser.apply(market)
        observation = np.concatenate((seen, account.portfolio().astype(np.float32)))
        output = self._policy.decide(symbol, close_time, close, observation, regime)
        account.wish(output)
        return output

    @property
    def equity(self) -> float:
        """All purses together, in quote currency."""
        return sum(account.equity for account in self._accounts.values())

    @property
    def candles(self) -> int:
        """Instants since it began."""
        return self._candles

    @property
    def log_return(self) -> float:
        """What it has earned since it began, net."""
        return math.log(max(self.equity, 1e-12) / self._capital)

    @property
    def drawdown(self) -> float:
        """How far it is below its peak, as a fraction of it."""
        return 1.0 - self.equity / self._peak

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return all that is carried from candle to candle."""
        kept: dict[str, NDArray[Any]] = {
            f"{_ACCOUNT}{symbol}": account.memory() for symbol, account in self._accounts.items()
        }
        kept |= {f"{_POLICY}{name}": array for name, array in self._policy.memory().items()}
        kept["standing"] = np.array([self._peak, float(self._candles)])
        return kept

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken; ModelError if it is not this model's on these symbols."""
        symbols = {name.removeprefix(_ACCOUNT) for name in memory if name.startswith(_ACCOUNT)}
        if symbols != set(self._accounts) or "standing" not in memory:
            raise ModelError(
                f"shadow accounts of {', '.join(sorted(symbols))}", "the symbols traded"
            )
        for symbol, account in self._accounts.items():
            account.restore(memory[f"{_ACCOUNT}{symbol}"])
        self._policy.restore(
            {
                name.removeprefix(_POLICY): array
                for name, array in memory.items()
                if name.startswith(_POLICY)
            }
        )
        self._peak, self._candles = float(memory["standing"][0]), int(memory["standing"][1])
