"""One environment's turns at the same work: random actions over the same candles and 20 columns.

    python -m tests.benchmarks.environment_work NAME CANDLES [FOLDER]

NAME is a key of ``WORKERS``; FOLDER is searched last for what a peer imports and its own
installation lacks. Runs in a process of its own: prints ``ready`` once the environment stands, then
steps as many seconds as each line of its input asks for and answers with the steps a second. A peer
that can't be imported ends it with the reason on the error stream. Every environment adds its own
view of the account to the columns, takes its own fees, is reset where its episode ends, and has its
observation made float32, which is what a learner needs of it.
"""

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COPIES = 256
COLUMNS = 20
CAPITAL = 1_000_000.0
FEE = 0.001
_ACTIONS = 4096
_MINUTES_START = "2020-01-01"

Columns = dict[str, NDArray[Any]]
# Carries out one action of every copy and returns how many copies there are.
Step = Callable[[], int]


def candles(rows: int) -> Columns:
    """Return made candles that swing, as wide as the target asks; every process makes the same."""
    random = np.random.default_rng(0)
    swing = 0.3 * np.sin(np.arange(rows) / 300.0) + random.normal(0.0, 2e-3, rows)
    close = 40_000.0 * np.exp(swing)
    opening = np.concatenate([close[:1], close[:-1]])
    return {
        "open": opening,
        "high": np.maximum(opening, close) * 1.001,
        "low": np.minimum(opening, close) * 0.999,
        "close": close,
        "features": random.normal(0.0, 1.0, (rows, COLUMNS)).astype(np.float32),
    }


def rate(step: Step, seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the steps a second of so many seconds of stepping, by ``clock``."""
    done, began = 0, clock()
    while (passed := clock() - began) < seconds:
        for _ in range(20):
            done += step()
    return done / passed


def adan(data: Columns) -> Step:
    """ADAN: all its copies in one compiled step, all regimes and everything else that costs on."""
    from adan_core.config.loading import load_settings
    from adan_core.config.locations import locate
    from adan_core.learning.environment import TradingVecEnv
    from adan_core.learning.environment_kernel import EnvironmentKernel
    from adan_core.learning.market import economics, environment_options
    from adan_core.learning.segments import Segment

    settings = load_settings(locate(Path("unused"), {})).settings
    learning = settings.learning
    rows = len(data["close"])
    market = Segment(
        data["open"],
        data["high"],
        data["low"],
        data["close"],
        data["features"],
        economics(settings, settings.market.symbols[0]),
        (np.arange(rows) // 100 % 5).astype(np.int8),
        np.random.default_rng(0).uniform(0.5, 2.0, rows),
    )
    kernel = EnvironmentKernel(
        (market,),
        COPIES,
        settings.account.starting_capital,
        learning.episode_length,
        0,
        environment_options(settings, 1),
    )
    batched = TradingVecEnv(kernel, learning.exposures)
    batched.reset()
    actions = np.random.default_rng(0).integers(0, len(learning.exposures), (64, COPIES))
    turn = 0

    def step_all() -> int:
        nonlocal turn
        turn = (turn + 1) % len(actions)
        batched.step(actions[turn])
        return COPIES

    step_all()  # compiles, or reads what was compiled before
    return step_all


def gym_trading_env(data: Columns) -> Step:
    """gym-trading-env: long or flat, whole history as one episode."""
    import pandas as pd

    environments = importlib.import_module("gym_trading_env.environments")
    frame = pd.concat([_prices(data), _features(data)], axis=1)
    frame.index = pd.date_range(_MINUTES_START, periods=len(frame), freq="1min")
    environment = environments.TradingEnv(
        frame, positions=[0, 1], trading_fees=FEE, portfolio_initial_value=CAPITAL, verbose=0
    )
    return _one(environment, np.random.default_rng(0).integers(0, 2, _ACTIONS).tolist())


def freqai(data: Columns) -> Step:
    """FreqAI's environment of five actions; the reward, which is its user's to write, is profit."""
    base = importlib.import_module("freqtrade.freqai.RL.Base5ActionRLEnv")

    def profit(environment: Any, action: int) -> float:  # noqa: ANN401 - the peer's own class
        if not environment._is_valid(action):
            return -1.0
        return float(environment.get_unrealized_profit())

    environment = type("Profit", (base.Base5ActionRLEnv,), {"calculate_reward": profit})(
        df=_features(data),
        df_raw=_features(data),
        prices=_prices(data),
        reward_kwargs={"rr": 1, "profit_aim": 0.025},
        window_size=1,
        config={"freqai": {"rl_config": {}}, "stake_amount": "unlimited"},
        fee=FEE,
        can_short=True,
    )
    return _one(environment, np.random.default_rng(0).integers(0, 5, _ACTIONS).tolist())


def finrl(data: Columns) -> Step:
    """FinRL's stock environment with one stock; its file alone, as the package imports brokers."""
    import pandas as pd

    path = distribution("finrl").locate_file("finrl/meta/env_stock_trading/env_stocktrading.py")
    specification = importlib.util.spec_from_file_location("env_stocktrading", str(path))
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    features = _features(data)
    frame = pd.concat([_prices(data), features], axis=1)
    frame["tic"] = "BTC"
    frame["date"] = pd.date_range(_MINUTES_START, periods=len(frame), freq="1min").astype(str)
    environment = module.StockTradingEnv(
        frame,
        stock_dim=1,
        hmax=10,
        initial_amount=CAPITAL,
        num_stock_shares=[0],
        buy_cost_pct=[FEE],
        sell_cost_pct=[FEE],
        reward_scaling=1e-4,
        state_space=3 + COLUMNS,
        action_space=1,
        tech_indicator_list=list(features.columns),
        print_verbosity=sys.maxsize,
    )
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (_ACTIONS, 1))
    return _one(environment, list(actions))


WORKERS: dict[str, Callable[[Columns], Step]] = {
    "adan": adan,
    "gym-trading-env": gym_trading_env,
    "freqai": freqai,
    "finrl": finrl,
}


def _prices(data: Columns) -> Any:  # noqa: ANN401 - pandas, which ADAN itself does without
    import pandas as pd

    return pd.DataFrame({name: data[name] for name in ("open", "high", "low", "close")})


def _features(data: Columns) -> Any:  # noqa: ANN401 - pandas, which ADAN itself does without
    import pandas as pd

    names = [f"feature_{number}" for number in range(COLUMNS)]
    return pd.DataFrame(data["features"], columns=names)


def _one(environment: Any, actions: list[Any]) -> Step:  # noqa: ANN401 - any gymnasium environment
    environment.reset()
    turn = 0

    def step() -> int:
        nonlocal turn
        turn = (turn + 1) % len(actions)
        seen, _, terminated, truncated, _ = environment.step(actions[turn])
        np.asarray(seen, dtype=np.float32)
        if terminated or truncated:
            environment.reset()
        return 1

    return step


def main(name: str, rows: str, *last: str) -> None:
    """Take turns until the input ends."""
    sys.path.extend(last)
    answers, sys.stdout = sys.stdout, sys.stderr  # some peers print
    try:
        step = WORKERS[name](candles(int(rows)))
    except ImportError as error:
        raise SystemExit(str(error)) from None
    rate(step, 0.1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(rate(step, float(line)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
