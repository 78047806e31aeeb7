"""Which model and which candles a judging command is about."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.data.features import FeatureSet
    from adan_core.data.series import CandleSeries
    from adan_core.data.sources import CandleSource
    from adan_core.learning.bundle import ServiceModel

SIMULATED = "simulated"
_SIMULATED_CANDLES = 60_000


def add_candles_option(parser: argparse.ArgumentParser) -> None:
    """Give a command its ``--dataset``."""
    parser.add_argument(
        "--dataset",
        metavar="NAME|FILE",
        help="a stored data set, or a file of candles (default: the simulated market's first symbol)",
    )


def chosen_candles(
    dataset: str | None, settings: "Settings", context: Context
) -> "tuple[CandleSeries, str]":
    """Return the candles and what they are called: stored ones, or collected from their source."""
    from adan_core.data.sources import collected
    from adan_core.data.store import CandleStore

    if dataset is None:
        return collected(_simulated(settings)), SIMULATED
    store, path = CandleStore(context.home.datasets), Path(dataset)
    if dataset in store.names() or not path.is_file():
        return store.read(dataset), dataset
    from adan_core.cli.data_reading import policy_of
    from adan_core.data.files import Reading, examine

    try:
        examined = examine(path, Reading(policy=policy_of((), context)))
        return collected(examined), examined.description
    except DataError as error:
        raise DataError(
            error.found,
            error.expected,
            "import it: `adan-core data import` can be told how to read it",
        ) from error


def _simulated(settings: "Settings") -> "CandleSource":
    from adan_core.data.made_source import MadeSource
    from adan_core.data.synthetic import SimulatedMarket
    from adan_core.learning.market import market_rules

    market, symbol = settings.market, settings.market.symbols[0]
    tick = market_rules(settings, symbol).tick_size
    return MadeSource(
        SimulatedMarket(symbol, market.timeframe, market.seed, tick), _SIMULATED_CANDLES
    )


def chosen_features(path: Path | None, settings: "Settings", context: Context) -> "FeatureSet":
    """Return the feature set in ``path``, or the one in force; ConfigurationError if it is none."""
    from adan_core.data.features import FeatureSet
    from adan_core.learning.market import feature_set, with_external

    if path is None:
        return feature_set(settings, context.home)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"feature file {path}: {error}", "a readable text file") from error
    return with_external(FeatureSet.parse(text, str(path)), settings)


def chosen_model(
    model_id: str | None, series: "CandleSeries", settings: "Settings", context: Context
) -> "ServiceModel":
    """Return the named model, or the newest that reads such candles; ModelError if it may not."""
    from adan_core.learning.market import feature_set, ladder_of
    from adan_core.runtime.models import open_registry

    spec = feature_set(settings, context.home)
    schema_hash = spec.schema_hash(ladder_of(settings, series.timeframe))
    registry = open_registry(context.home)
    if model_id is None:
        return registry.default(schema_hash)
    return registry.load(model_id, schema_hash)
