"""``adan-core evaluate``: a model judged on candles it has not seen."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context

if TYPE_CHECKING:
    from adan_core.learning.evaluation import Evaluation

_EXAMPLES = """\
examples:
  adan-core evaluate                                 (the newest model, on the simulated market)
  adan-core evaluate --dataset BTC-USDT-1h           (the newest model made for such candles)
  adan-core evaluate simulated-s0-20260101-120000 --dataset sample --json

Only the test part of the candles is used (the last 20 % by default); it is refused if the model
has learnt from any of it. N/A: the figure cannot be computed; --json says why.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``evaluate``."""
    from adan_core.cli.model_choice import add_candles_option

    parser.epilog = _EXAMPLES
    parser.add_argument("model", nargs="?", metavar="MODEL", help="its id (default: the newest)")
    add_candles_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Judge the model and print the judgement, whatever it is."""
    from adan_core.cli.model_choice import chosen_candles, chosen_model
    from adan_core.learning.evaluation import evaluate

    settings = context.settings()
    series, name = chosen_candles(arguments.dataset, settings, context)
    model = chosen_model(arguments.model, series, settings, context)
    judged = evaluate(model, series, settings, name, context.cache(settings))
    if arguments.json:
        context.emit(judged)
    else:
        for line in _lines(judged):
            context.say(line)
    return 0


def _lines(judged: "Evaluation") -> list[str]:
    from adan_core.cli.figures import METRIC_ROWS, figure, table
    from adan_core.domain.time import iso

    kind = " (SIMULATED)" if judged.synthetic else ""
    names = [result.strategy for result in judged.results]
    rows = [
        [label, *(figure(getattr(result.metrics, key), form) for result in judged.results)]
        for label, key, form in METRIC_ROWS
    ]
    regimes = [
        [
            f"{own.regime} ({own.candles})",
            *(figure(result.by_regime[place].log_return, "+.4f") for result in judged.results),
        ]
        for place, own in enumerate(judged.results[0].by_regime)
    ]
    return [
        (
            f"{judged.model_id} (signed: {judged.signer}) on {judged.symbol} {judged.timeframe}{kind}, "
            f"{judged.candles:,} candles from {iso(judged.test_start)} to {iso(judged.test_stop)}"
        ),
        f"net of {judged.fee_rate:.2%} fee and {judged.slippage_rate:.2%} slippage a side",
        "",
        *table(["", *names], rows),
        "",
        *table(["log-return by regime", *names], regimes),
        "",
        *_reliability(judged),
        "",
        judged.saturation.verdict[0].upper() + judged.saturation.verdict[1:] + ".",
        judged.verdict,
    ]


def _reliability(judged: "Evaluation") -> list[str]:
    """Return how often decisions were right, by how sure the model was."""
    from adan_core.cli.figures import figure, table

    found = judged.calibration
    rows = [
        [
            f"{one.lower:.0%} to {one.upper:.0%}",
            figure(one.confidence, ".1%"),
            figure(one.frequency, ".1%"),
            f"{one.count:,}",
        ]
        for one in found.bins
        if one.count
    ]
    return [
        *table(["confidence", "mean", "right", "decisions"], rows),
        (
            f"expected calibration error {figure(found.expected_error, '.3f')} over "
            f"{found.decisions:,} decisions whose horizon has passed. Right is one that earned more, "
            "net, than the move it was weighed against."
        ),
        f"The members disagreed in {judged.abstained:,} decisions.",
    ]
