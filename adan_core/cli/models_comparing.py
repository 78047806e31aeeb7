"""``adan-core models compare``: two models over the same candles out of sample, side by side."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from adan_core.cli.context import Context

if TYPE_CHECKING:
    from adan_core.learning.comparison import Comparison

_EPILOG = """\
examples:
  adan-core models compare simulated-s0-20260101-120000 simulated-s1-20260101-120000
  adan-core models compare OLD NEW --dataset BTC-USDT-1h --json

Both run over the test part alone, with a purse of their own each, net of costs; candles that either
was trained or selected on are refused. The difference is NEW minus OLD, paired candle by candle.

Each is a look at the test, as `adan-core evaluate` takes it: two models of one recipe are compared on
candles that were recorded only with a reason, for who keeps the better one has no test any more.
"""


def declare(_name: str, action: argparse.ArgumentParser) -> None:
    """Declare the options of ``compare``."""
    from adan_core.cli.model_choice import add_candles_option
    from adan_core.cli.test_looking import add_look_option

    action.epilog = _EPILOG
    action.add_argument("first", metavar="OLD", help="as `models list` shows it")
    action.add_argument("second", metavar="NEW", help="the other one")
    add_candles_option(action)
    add_look_option(action)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Run both models over the same candles and say what each came to."""
    from adan_core.cli.model_choice import chosen_candles
    from adan_core.cli.test_looking import question_of
    from adan_core.learning.comparison import compare
    from adan_core.learning.test_ledger import TestLedger
    from adan_core.runtime.models import open_registry

    settings = context.settings()
    series, _ = chosen_candles(arguments.dataset, settings, context)
    registry = open_registry(context.home)
    models = registry.load(arguments.first), registry.load(arguments.second)
    questions = [
        question_of(model, series, settings, arguments.look_again, context) for model in models
    ]
    ledger = TestLedger(context.home.test_looks, context.clock)
    ledger.allowed_together(*questions)
    compared = compare(models, series, settings, context.cache(settings))
    # Both before the first figure is shown, and neither where the comparison was refused.
    for question in questions:
        ledger.look(*question)
    if arguments.json:
        context.emit(asdict(compared))
    else:
        for line in _lines(compared):
            context.say(line)
    return 0


def _lines(compared: "Comparison") -> list[str]:
    from adan_core.cli.figures import METRIC_ROWS, figure, table
    from adan_core.domain.time import iso

    rows = [
        [label, *(figure(getattr(metrics, name), form) for metrics in compared.metrics)]
        for label, name, form in METRIC_ROWS
    ]
    made = "SIMULATED " if compared.synthetic else ""
    gap = compared.difference
    head = (
        f"{made}{compared.symbol} {compared.timeframe}, {compared.candles:,} candles out of sample, "
        f"{iso(compared.test_start)} to {iso(compared.test_stop)}, net of costs"
    )
    tail = (
        f"{compared.models[1]} minus {compared.models[0]}: log-return {gap.log_return:+.4f} "
        f"(95 % of the block bootstrap {gap.low:+.4f} to {gap.high:+.4f}; above zero in "
        f"{gap.probability:.0%})"
    )
    return [head, "", *table(["", *compared.models], rows), "", tail]
