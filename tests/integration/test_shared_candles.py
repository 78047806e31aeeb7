"""Recorded candles: the counts their README states, no alarm on real extremes, defects caught."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adan_core.data.agreement import compare
from adan_core.data.files import Reading, examine
from adan_core.data.findings import FindingCode, Policy, Treatment, treatable
from adan_core.data.validation import validate
from adan_core.domain.alerts import Severity
from adan_core.domain.errors import DataError
from tests.support import shared_data

_ROW = re.compile(
    r"^\| (?P<file>[\w-]+) \|.*\| (?P<rows>[\d,]+) \|[^|]+\| (?P<gaps>\d+)"
    r"(?: \((?P<missing>\d+) missing[^|]*\))? \| (?P<idle>\d+) \| (?P<notes>.*)\|$",
    re.MULTILINE,
)
_LATER = 1_704_067_200_000  # 2024-01-01: all of these candles had closed
_CAUSES = (FindingCode.OUTAGE, FindingCode.NO_TRADE, FindingCode.MISSING)
_FACTS = {
    FindingCode.COLUMNS,
    FindingCode.CLOSE_STAMPS,
    FindingCode.GAP,
    FindingCode.ZERO_VOLUME,
    FindingCode.DUPLICATE,
    *_CAUSES,
}
# Found by this check and confirmed by eye: at 03:02 of two days all five numbers go on by equal
# steps for seven minutes, beyond the digits the venue quotes.
_DRAWN = {"perp-unknown_BTCUSD_1m_2021-12-31_2022-02-01_closelabel": 14}
_DEFECTS = {
    "cdd_binance_BTCUSDT_1h_noheader_badfirstrow.csv.gz": {
        FindingCode.OUTLIER,
        FindingCode.TIME_ZONE,
    },
    "cdd_coinbase_BTCUSD_1h_preamble_ampm_descending.csv.gz": {
        FindingCode.DESCENDING,
        FindingCode.DISORDER,
        FindingCode.PREAMBLE,
    },
    "gymtradingenv_BTCUSD_1h_descending.csv.gz": {
        FindingCode.DESCENDING,
        FindingCode.VOLUME_UNITS,
        FindingCode.ZERO_VOLUME,
    },
    "binance_BTCUSDT_1h_offgrid_2018-02-09.json.gz": {FindingCode.OFF_GRID, FindingCode.GAP},
    "binance_MCOUSDT_5m_listing_outlier_zero_volume.json.gz": {
        FindingCode.OUTLIER,
        FindingCode.ZERO_VOLUME,
    },
}


@pytest.mark.slow
def test_every_file_has_the_counts_its_readme_states() -> None:
    shared = shared_data()
    stated = list(_ROW.finditer((shared / "README.md").read_text()))
    names = {each["file"] for each in stated}
    assert names == {path.stem for path in (shared / "candles").glob("*.parquet")}
    for row in stated:
        path = shared / "candles" / f"{row['file']}.parquet"
        examined = examine(path, Reading(now=_LATER))
        found = {each.code: each for each in examined.findings}
        gap, idle = found.get(FindingCode.GAP), found.get(FindingCode.ZERO_VOLUME)
        again = found.get(FindingCode.DUPLICATE)
        repeated = re.search(r"dup (\d+)", row["notes"])
        counts = (
            examined.rows,
            gap.count if gap else 0,
            gap.candles if gap else 0,
            idle.count if idle else 0,
            again.count if again else 0,
        )
        assert counts == (
            int(row["rows"].replace(",", "")),
            int(row["gaps"]),
            int(row["missing"] or 0),
            int(row["idle"]),
            int(repeated[1]) if repeated else 0,
        ), row["file"]
        # Crashes and bubbles are markets, not misprints: nothing is refused or left out for them.
        assert not any(each.severity is Severity.CRITICAL for each in examined.findings)
        assert len(examined.series()) == counts[0] - counts[4]
        drawn = found.pop(FindingCode.INTERPOLATED, None)
        assert (drawn.candles if drawn else 0) == _DRAWN.get(row["file"], 0)
        assert set(found) <= _FACTS, row["file"]
        causes = [found[code] for code in _CAUSES if code in found]
        assert sum(each.candles for each in causes) == counts[2]
        # Only Kraken leaves out hours without a trade.
        assert (FindingCode.NO_TRADE in found) is row["file"].startswith("kraken")


@pytest.mark.slow
def test_the_volume_tells_an_outage_from_rows_that_somebody_lost() -> None:
    """Of holes that were cut into real candles hardly any is taken for an outage."""
    folder = shared_data() / "candles"
    written_on = examine(folder / "binance-spot_BTCUSDT_5m_2023.parquet", Reading())
    found = {each.code: each for each in written_on.findings}
    # The exchange's own outage of 2023-03-24, whose machinery wrote idle candles on.
    assert found[FindingCode.OUTAGE].places[0].time == 1_679_661_300_000
    whole = written_on.report.candles
    lost = np.random.default_rng(5).choice(np.arange(300, len(whole) - 300, 50), 600, replace=False)
    keep = np.ones(len(whole), dtype=np.bool_)
    keep[lost[:, np.newaxis] + np.arange(3)] = False
    report = validate(whole.take(keep), written_on.timeframe, Policy())
    found = {each.code: each for each in report.findings}
    assert found[FindingCode.MISSING].count > 0.95 * 600
    assert FindingCode.NO_TRADE not in found


def test_two_venues_agree_hour_by_hour_and_a_shifted_clock_shows() -> None:
    folder = shared_data() / "candles"
    names = ("binance-spot_BTCUSDT_1h_2017-08_2023-12", "kraken-spot_XBTUSD_1h_2013-10_2023-01")
    binance, kraken = (examine(folder / f"{name}.parquet", Reading()) for name in names)
    told = compare(binance.report.candles, kraken.report.candles, binance.timeframe, Policy())
    assert (told.common > 47_000, told.shift, told.correlation > 0.9) == (True, 0, True)
    late = replace(kraken.report.candles, open_time=kraken.report.candles.open_time + 7_200_000)
    told = compare(late, binance.report.candles, binance.timeframe, Policy())
    assert told.shift == -7_200_000


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(_DEFECTS))
def test_every_defect_is_refused_by_its_name_and_can_be_marked(name: str) -> None:
    path: Path = shared_data() / "defects_raw" / name
    examined = examine(path, Reading())
    assert _DEFECTS[name] <= {each.code for each in examined.findings}
    with pytest.raises(DataError, match=str(examined.report.refusals[0].code)):
        examined.series()
    mark: dict[FindingCode, Treatment] = {
        code: Treatment.MARK
        for code, allowed in treatable().items()
        if Treatment.MARK in allowed and code is not FindingCode.ZERO_VOLUME
    }
    marked = examine(path, Reading(policy=Policy(mark)))
    assert len(marked.series()) > 0.99 * examined.rows


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(_DEFECTS))
def test_what_a_defective_file_is_not_guilty_of_is_not_found(name: str) -> None:
    examined = examine(shared_data() / "defects_raw" / name, Reading(now=_LATER))
    refused = {each.code for each in examined.report.refusals}
    assert refused <= _DEFECTS[name]


def test_defects_are_placed() -> None:
    shared = shared_data() / "defects_raw"
    off_grid = examine(shared / "binance_BTCUSDT_1h_offgrid_2018-02-09.json.gz", Reading())
    found = {each.code: each for each in off_grid.findings}[FindingCode.OFF_GRID]
    assert (found.count, "2018-02-09T09:28:14Z" in found.message) == (43, True)
    first_row = examine(shared / "cdd_binance_BTCUSDT_1h_noheader_badfirstrow.csv.gz", Reading())
    found = {each.code: each for each in first_row.findings}[FindingCode.OUTLIER]
    assert [place.row for place in found.places] == [1]
