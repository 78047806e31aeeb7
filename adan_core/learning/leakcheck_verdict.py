"""The leak checker's answer in one word, as gates ask for it."""

from typing import Final

from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.features import FeatureSet
from adan_core.data.frames import cached_frame
from adan_core.data.series import CandleSeries
from adan_core.data.split import split_by_fractions
from adan_core.domain.errors import DataError
from adan_core.learning.leakcheck import check
from adan_core.learning.leakcheck_changes import History
from adan_core.learning.leakcheck_instants import choose_instants
from adan_core.learning.leakcheck_stages import program_pipeline
from adan_core.learning.market import ladder_of, with_external

# Enough to meet every awkward place of a ladder; `adan-core data leakcheck` looks longer.
_CANDLES: Final = 6_000
INSTANTS: Final = 24


def leak_free(
    series: CandleSeries,
    settings: Settings,
    features: str,
    unavailable: dict[str, str],
    cache: DataCache | None = None,
    instants: int = INSTANTS,
) -> bool | None:
    """Return whether the leak checker finds nothing on the newest of these candles; None: it cannot say.

    Why not, or where the leak is, goes into ``unavailable`` under the gates' own name.
    """
    ladder = ladder_of(settings, series.timeframe)
    spec = with_external(FeatureSet.parse(features, settings.features), settings)
    newest = series.slice(max(len(series) - _CANDLES, 0), len(series))
    external = {name: each.current() for name, each in spec.external_data.items()}
    try:
        ready = cached_frame(newest, ladder, spec, cache).ready
        split = split_by_fractions(newest, 0.7, 0.1)
        chosen = choose_instants(newest, ladder, ready, split, instants, 0)
        pipeline = program_pipeline(settings, series.symbol, ladder, spec, None)
        report = check(
            pipeline, History(newest, external), ladder, split, chosen, 0, lambda _share: None
        )
    except DataError as error:
        unavailable["leakcheck_clean"] = str(error)
        return None
    if report.cause is not None:
        unavailable["leakcheck_clean"] = f"a leak in {report.cause.stage}"
    return report.cause is None
