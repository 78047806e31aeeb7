"""Real candles, gaps included: the state one candle at a time has the bytes of the state at once."""

from pathlib import Path

import numpy as np
import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.files import Reading, examine
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateStream
from adan_core.domain.candles import Timeframe
from adan_core.learning.market import prepare_all
from tests.support import shared_data

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[2] / "configs" / "features.yaml"
WIDE = SHIPPED.read_text().replace("windows: [1, 1, 1]", "windows: [3, 2, 4]")


def read(name: str) -> CandleSeries:
    return examine(shared_data() / "candles" / f"{name}.parquet", Reading()).series()


@pytest.fixture
def shipped_settings(tmp_path: Path) -> Settings:
    return load_settings(locate(tmp_path, {})).settings


@pytest.mark.parametrize(
    ("names", "ladder", "features"),
    [
        (
            ("binance-spot_BTCUSDT_5m_2023", "binance-spot_ETHUSDT_5m_2023"),
            ("5m", "1h", "4h"),
            SHIPPED.read_text(),
        ),
        (
            ("binance-spot_BTCUSDT_5m_2020-12_2021-07", "binance-spot_XRPUSDT_5m_2020-12_2021-07"),
            ("5m", "1h", "4h"),
            WIDE,
        ),
        (("kraken-spot_XBTUSD_1h_2013-10_2023-01",), ("1h", "4h", "1d"), WIDE),
        (
            ("binance-spot_BTCUSDT_1m_2021-04-20_2021-05-20",),
            ("1m", "5m", "15m"),
            SHIPPED.read_text(),
        ),
    ],
    ids=["5m 2023", "5m crash, windows", "1h thin, windows", "1m outage"],
)
def test_one_at_a_time_has_the_bytes_of_all_at_once(
    names: tuple[str, ...], ladder: tuple[str, ...], features: str, shipped_settings: Settings
) -> None:
    steps = tuple(Timeframe.parse(text) for text in ladder)
    spec = FeatureSet.parse(features, "features.yaml")
    several = tuple(read(name) for name in names)
    assert any(int(np.diff(series.open_time).max()) > steps[0].duration for series in several)
    prepared = prepare_all(several, steps, spec, shipped_settings)
    for series, frame in zip(several, (each.frame for each in prepared), strict=True):
        stream = StateStream(steps[0], steps, spec)
        rows = [stream.push(series.candle(index)) for index in range(len(series))]
        warm = [index for index, row in enumerate(rows) if row is not None]
        assert warm == list(range(frame.ready, len(series)))
        pushed = np.stack([row for row in rows if row is not None])
        assert pushed.tobytes() == frame.market[frame.ready :].tobytes()
        assert np.isfinite(pushed).all()


def test_these_are_more_than_a_hundred_thousand_candles_of_a_symbol() -> None:
    assert len(read("binance-spot_BTCUSDT_5m_2023")) > 100_000
    assert len(read("binance-spot_ETHUSDT_5m_2023")) > 100_000
