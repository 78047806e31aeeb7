"""Recorded candles: the counts their README states, no alarm on real extremes, defects caught."""

import re
from pathlib import Path

import pytest

from adan_core.data.files import Reading, examine
from adan_core.data.findings import FindingCode, Policy, Treatment, treatable
from adan_core.domain.alerts import Severity
from adan_core.domain.errors import DataError
from tests.support import shared_data

_ROW = re.compile(
    r"^\| (?P<file>[\w-]+) \|.*\| (?P<rows>[\d,]+) \|[^|]+\| (?P<gaps>\d+)"
    r"(?: \((?P<missing>\d+) missing[^|]*\))? \| (?P<idle>\d+) \| (?P<notes>.*)\|$",
    re.MULTILINE,
)
_DEFECTS = {
    "cdd_binance_BTCUSDT_1h_noheader_badfirstrow.csv.gz": {FindingCode.OUTLIER},
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
        examined = examine(shared / "candles" / f"{row['file']}.parquet", Reading())
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
        assert FindingCode.OUTLIER not in found
        assert len(examined.series()) == counts[0] - counts[4]


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


def test_defects_are_placed() -> None:
    shared = shared_data() / "defects_raw"
    off_grid = examine(shared / "binance_BTCUSDT_1h_offgrid_2018-02-09.json.gz", Reading())
    found = {each.code: each for each in off_grid.findings}[FindingCode.OFF_GRID]
    assert (found.count, "2018-02-09T09:28:14Z" in found.message) == (43, True)
    first_row = examine(shared / "cdd_binance_BTCUSDT_1h_noheader_badfirstrow.csv.gz", Reading())
    found = {each.code: each for each in first_row.findings}[FindingCode.OUTLIER]
    assert [place.row for place in found.places] == [1]
