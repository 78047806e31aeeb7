"""``adan-core evaluate``: a model judged on candles it has not seen."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context

if TYPE_CHECKING:
    from adan_core.learning.evaluation import Evaluation
    from adan_core.learning.test_ledger import Look

_EXAMPLES = """\
examples:
  adan-core evaluate                                 (the newest model, on the simulated market)
  adan-core evaluate --dataset BTC-USDT-1h           (the newest model made for such candles)
  adan-core evaluate simulated-s0-20260101-120000 --dataset sample --json
  adan-core evaluate BTC-USDT-1h-s2 --dataset BTC-USDT-1h --look-again "seed 1 broke off"

Only the test part of the candles is used (the last 20 % by default); it is refused if the model
has learnt from any of it. N/A: the figure cannot be computed; --json says why.

Each look at a test is taken down. The same model may be judged on it again; another model of the
same recipe (settings and features; seed and steps do not count) is refused, for whoever chooses
among models by their test has no test any more. --look-again says why it has to be, and counts. A
data set that grows is such a case: its test part moves on, but shares candles with the one before.
Simulated candles have no end: there looks are counted and never refused.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``evaluate``."""
    from adan_core.cli.model_choice import add_candles_option
    from adan_core.cli.test_looking import add_look_option

    parser.epilog = _EXAMPLES
    parser.add_argument("model", nargs="?", metavar="MODEL", help="its id (default: the newest)")
    add_candles_option(parser)
    add_look_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Judge the model and print the judgement, whatever it is."""
    import msgspec

    from adan_core.cli.model_choice import chosen_candles, chosen_model
    from adan_core.cli.test_looking import question_of
    from adan_core.learning.evaluation import evaluate
    from adan_core.learning.test_ledger import TestLedger

    settings = context.settings()
    series, name = chosen_candles(arguments.dataset, settings, context)
    model = chosen_model(arguments.model, series, settings, context)
    question = question_of(model, series, settings, arguments.look_again, context)
    ledger = TestLedger(context.home.test_looks, context.clock)
    ledger.allowed(*question)
    judged = evaluate(model, series, settings, name, context.cache(settings))
    # Only now, but before anything is shown: a judgement that was refused has shown nothing.
    look = ledger.look(*question)
    if arguments.json:
        context.emit({**msgspec.to_builtins(judged), "look": look.number})
    else:
        for line in _lines(judged, look):
            context.say(line)
    return 0


def _lines(judged: "Evaluation", look: "Look") -> list[str]:
    from adan_core.cli.figures import METRIC_ROWS, convention_lines, figure, table
    from adan_core.domain.time import iso
    from adan_core.learning.closing_out import CLOSED_OUT

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
        (
            f"net of {judged.fee_rate:.2%} fee and {judged.slippage_rate:.2%} slippage a side; look "
            f"number {look.number} at this test part"
            + (f", this model's again (first looked at {look.first_at})" if look.repeated else "")
        ),
        CLOSED_OUT,
        "",
        *table(["", *names], rows),
        "",
        *table(["log-return by regime", *names], regimes),
        "",
        *_reliability(judged),
        "",
        judged.saturation.verdict[0].upper() + judged.saturation.verdict[1:] + ".",
        judged.verdict,
        "",
        *convention_lines(),
    ]


def _reliability(judged: "Evaluation") -> list[str]:
    """Return how often decisions were right, by how sure the model was."""
    from adan_core.cli.figures import figure, reliability_table

    found = judged.calibration
    return [
        *reliability_table(found),
        (
            f"expected calibration error {figure(found.expected_error, '.3f')} over "
            f"{found.decisions:,} decisions whose horizon has passed. Right is one that earned more, "
            "net, than the move it was weighed against."
        ),
        f"The members disagreed in {judged.abstained:,} decisions.",
    ]
