"""What the ledger of looks is asked where a sealed model is judged on the test part of candles."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.data.series import CandleSeries
    from adan_core.learning.bundle import ServiceModel
    from adan_core.learning.test_ledger import TestPeriod


def add_look_option(parser: argparse.ArgumentParser) -> None:
    """Give a command its ``--look-again``."""
    parser.add_argument(
        "--look-again", default="", metavar="REASON", help="why the test may be seen again"
    )


def question_of(
    model: "ServiceModel",
    series: "CandleSeries",
    settings: "Settings",
    again: str,
    context: Context,
) -> "tuple[str, str, str, TestPeriod, str]":
    """Return kind, recipe, subject, period and reason of a look of ``model`` at its test part.

    ModelError if it has learnt from any of it.
    """
    from adan_core.learning.evaluation import judging_period
    from adan_core.learning.test_ledger import TestPeriod, recipe_of
    from adan_core.runtime.models import open_registry

    period = judging_period(series, settings, model)
    card = model.card
    names = [member.name for member in card.members]
    recipes = {recipe_of(one.settings, card.feature_schema_hash, names) for one in card.members}
    return (
        "model",
        "+".join(sorted(recipes)),
        open_registry(context.home).digest(card.model_id),
        TestPeriod(
            series.symbol,
            series.content_hash if series.synthetic else "",
            period.start_time,
            period.stop_time,
        ),
        again,
    )
