"""``adan-core backtest``: a model or a plain strategy over candles, as the account would have gone."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.data.series import CandleSeries
    from adan_core.learning.backtest import Backtest

_SMA, _HOLD, _FLAT = "sma", "buy-and-hold", "flat"

_EXAMPLES = """\
examples:
  adan-core backtest --strategy sma --dataset BTC-USDT-1h
  adan-core backtest --dataset sample --json              (the newest model made for such candles)
  adan-core backtest simulated-s0-20260101-120000 --dataset sample --json --curve

The plain strategies trade without stop-loss and take-profit. All candles are used, those a model
has learnt from too, and it says how many they are: to judge a model use `adan-core evaluate`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``backtest``."""
    from adan_core.cli.model_choice import add_candles_option

    parser.epilog = _EXAMPLES
    parser.add_argument("model", nargs="?", metavar="MODEL", help="its id (default: the newest)")
    parser.add_argument("--strategy", choices=(_SMA, _HOLD, _FLAT), help="instead of a model")
    add_candles_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--curve", action="store_true", help="with --json: equity at each close, and every trade"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Run the account over the candles and print what became of it."""
    from adan_core.cli.model_choice import chosen_candles

    if arguments.model is not None and arguments.strategy is not None:
        raise UsageError("a model and --strategy", "one of them")
    if arguments.curve and not arguments.json:
        raise UsageError("--curve without --json", "both, or neither")
    settings = context.settings()
    series, dataset = chosen_candles(arguments.dataset, settings, context)
    if arguments.strategy is None:
        played, name, seen = _play_model(arguments.model, series, settings, context)
    else:
        played, name, seen = (
            _play_strategy(arguments.strategy, series, settings),
            arguments.strategy,
            0,
        )
    way_out = _way_out(played, series, settings)
    if arguments.json:
        document = _document(played, series, name, dataset, seen, curve=arguments.curve)
        context.emit({**document, "open_at_the_end": way_out})
    else:
        _print(played, series, name, seen, way_out, context)
    return 0


def _play_model(
    model_id: str | None, series: "CandleSeries", settings: "Settings", context: Context
) -> "tuple[Backtest, str, int]":
    from adan_core.cli.model_choice import chosen_model
    from adan_core.data.frames import cached_frame
    from adan_core.domain.errors import DataError
    from adan_core.learning.backtest import run_policy
    from adan_core.learning.evaluation import seen_candles
    from adan_core.learning.market import economics, segment, with_external

    model = chosen_model(model_id, series, settings, context)
    spec = with_external(model.features, settings)
    frame = cached_frame(series, model.card.timeframes, spec, context.cache(settings))
    if len(series) - frame.ready < 2:
        raise DataError(
            f"{len(series)} candles", f"more than the {frame.ready} that warm the indicators up"
        )
    costs = economics(settings, series.symbol)
    part = segment(series, frame, model.normaliser, costs, frame.ready, len(series))
    usable = series.slice(frame.ready, len(series))
    played = run_policy(usable, part, model.open_policy(), settings.account.starting_capital)
    return played, model.model_id, seen_candles(usable, series, model)


def _play_strategy(strategy: str, series: "CandleSeries", settings: "Settings") -> "Backtest":
    from adan_core.learning.backtest import (
        buy_and_hold_targets,
        flat_targets,
        run_targets,
        sma_cross_targets,
    )
    from adan_core.learning.market import economics

    makers = {_SMA: sma_cross_targets, _HOLD: buy_and_hold_targets, _FLAT: flat_targets}
    return run_targets(
        series,
        makers[strategy](series),
        economics(settings, series.symbol).unprotected(),
        settings.account.starting_capital,
    )


def _way_out(
    played: "Backtest", series: "CandleSeries", settings: "Settings"
) -> dict[str, float] | None:
    """Return what is still held at the end and what closing it there would cost; None for nothing."""
    from adan_core.learning.closing_out import closed_out
    from adan_core.learning.market import economics

    if played.open is None:
        return None
    closed = closed_out(played, economics(settings, series.symbol))
    return {
        "quantity": played.open.quantity,
        "closing_cost": float(played.equity[-1] - closed.equity[-1]),
    }


def _document(
    played: "Backtest", series: "CandleSeries", name: str, dataset: str, seen: int, *, curve: bool
) -> dict[str, object]:
    document: dict[str, object] = {
        "schema_version": 1,
        "strategy": name,
        "dataset": dataset,
        "symbol": series.symbol,
        "timeframe": str(series.timeframe),
        "synthetic": series.synthetic,
        "data_hash": series.content_hash,
        "first_close": int(played.close_time[0]),
        "last_close": int(played.close_time[-1]),
        "candles_learnt_from": seen,
        "first_equity": float(played.equity[0]),
        "last_equity": float(played.equity[-1]),
        "metrics": played.metrics(),
    }
    if curve:
        document["close_time"] = played.close_time.tolist()
        document["equity"] = played.equity.tolist()
        document["targets"] = played.targets.tolist()
        document["trades"] = played.trades
    return document


def _print(
    played: "Backtest",
    series: "CandleSeries",
    name: str,
    seen: int,
    way_out: dict[str, float] | None,
    context: Context,
) -> None:
    from adan_core.cli.figures import METRIC_ROWS, figure, table
    from adan_core.domain.time import iso

    metrics = played.metrics()
    kind = " (SIMULATED)" if series.synthetic else ""
    first, last = int(played.close_time[0]), int(played.close_time[-1])
    context.say(
        f"{name} on {series.symbol} {series.timeframe}{kind}, {len(played.equity):,} candles "
        f"from {iso(first)} to {iso(last)}, net of costs"
    )
    if seen:
        context.say(f"{seen:,} of these candles the model has learnt from: this judges nothing.")
    context.say(f"equity {played.equity[0]:,.2f} -> {played.equity[-1]:,.2f}")
    if way_out is not None:
        context.say(
            f"{way_out['quantity']:g} still open at the end, valued at the last close; closing it there "
            f"would cost {way_out['closing_cost']:,.2f}"
        )
    rows = [
        [label, figure(getattr(metrics, key), form), metrics.unavailable.get(key, "")]
        for label, key, form in METRIC_ROWS
    ]
    for line in table(["", name, ""], rows):
        context.say(line)
