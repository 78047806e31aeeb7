"""The frame of a series out of the cache: what everything that reads a whole history asks for."""

import numpy as np

from adan_core.accounting.compiled import CODE_VERSION
from adan_core.data.cache import DataCache
from adan_core.data.cache_entry import Arrays, CacheKey
from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateFrame, build_frame
from adan_core.domain.candles import Timeframe


def cached_frame(
    series: CandleSeries, ladder: tuple[Timeframe, ...], spec: FeatureSet, cache: DataCache | None
) -> StateFrame:
    """Return what ``build_frame`` returns, equal to the bit; out of a cache it is read-only.

    Without a cache it is built. DataError if the candles' timeframe is not the ladder's.
    """
    if cache is None:
        return build_frame(series, ladder, spec)
    fixed = spec.known_by(int(series.close_time[-1]) if len(series) else 0)
    schema_hash = fixed.schema_hash(ladder)

    def build() -> Arrays:
        frame = build_frame(series, ladder, fixed)
        return {
            "market": frame.market,
            "close_time": frame.close_time,
            "ready": np.array([frame.ready], dtype=np.int64),
        }

    key = CacheKey(
        "frame", f"{series.content_hash}+{fixed.external_hash}", schema_hash, CODE_VERSION
    )
    arrays = cache.fetch(key, build)
    return StateFrame(
        arrays["market"],
        int(arrays["ready"][0]),
        arrays["close_time"],
        fixed.columns(ladder),
        schema_hash,
    )
