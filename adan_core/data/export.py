"""Candles as files for other programs: CSV, Parquet, Feather."""

import gzip
import io
from pathlib import Path

from adan_core.data.files import SYNTHETIC_COLUMN
from adan_core.data.partitions import to_frame
from adan_core.data.series import CandleSeries
from adan_core.domain.errors import UsageError
from adan_core.resilience.files import write_atomically


def export(series: CandleSeries, path: Path, replace: bool) -> None:
    """Write ``series`` to ``path``, whole or not at all, in the form its ending names.

    Beside the candles the file says their symbol and, if they are simulated, that they are.
    UsageError for an unknown ending, or a file that exists unless ``replace``.
    """
    import polars as pl

    if path.exists() and not replace:
        raise UsageError(f"{path} exists", "a new file", "add --replace, or name another file")
    frame = to_frame(series).with_columns(pl.lit(series.symbol).alias("symbol"))
    if series.synthetic:
        frame = frame.with_columns(pl.lit(value=True).alias(SYNTHETIC_COLUMN))
    content = io.BytesIO()
    endings = "".join(path.suffixes[-2:]).lower()
    if endings.endswith((".csv", ".csv.gz")):
        frame.write_csv(content, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    elif endings.endswith(".parquet"):
        frame.write_parquet(content, compression="zstd")
    elif endings.endswith((".feather", ".arrow")):
        frame.write_ipc(content)
    else:
        raise UsageError(f"{path.name}", "a name ending in .csv, .csv.gz, .parquet or .feather")
    data = content.getvalue()
    write_atomically(path, gzip.compress(data, mtime=0) if endings.endswith(".gz") else data)
