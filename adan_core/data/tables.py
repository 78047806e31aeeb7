"""Reading a file into named columns: CSV, JSON (both also gzipped), Parquet, Feather.

Nothing is interpreted here but the file's own form; values stay as the file has them. Polars and
msgspec are imported on use.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adan_core.data.framed import read_framed
from adan_core.domain.errors import DataError

if TYPE_CHECKING:
    import polars as pl

_SAMPLE_LINES = 60
_SAMPLE_BYTES = 65_536
_FEWEST_COLUMNS = 5
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


@dataclass(frozen=True, slots=True)
class Table:
    """A file's columns in its order; ``names`` is None where the file has no header.

    ``preamble`` are the lines above the header (or above the first row) that are no rows.
    """

    names: tuple[str, ...] | None
    columns: tuple["pl.Series", ...]
    preamble: tuple[str, ...] = ()

    def column(self, index: int) -> str:
        """Return what to call a column when talking to a person."""
        return f"{self.names[index]!r}" if self.names else f"number {index + 1}"


def read_table(path: Path) -> Table:
    """Return the table in ``path``; its form is told by the name's ending and must be true.

    Raises DataError if the file is absent, unreadable, of an unknown form or not of that form.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    form = (suffixes[-2:-1] if zipped else suffixes[-1:]) or [""]
    reader = _READERS.get(form[0])
    if reader is None:
        raise DataError(
            f"{path.name} has an ending ADAN does not read",
            "a file named *.csv, *.json (or with .gz after it), *.parquet or *.feather",
            "rename it to what it is, or convert it",
        )
    try:
        content = path.read_bytes()
        if zipped:
            content = gzip.decompress(content)
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or 'not gzipped'}", "a file this user can read"
        ) from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path.name} breaks off or is damaged: {error}", "a whole file") from error
    if not content.strip():
        raise DataError(f"{path.name} is empty", "candles")
    return reader(path.name, content)


def _read_csv(name: str, content: bytes) -> Table:
    import polars as pl

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is no UTF-8 text (byte {error.start})", "a text file in UTF-8"
        ) from error
    if "\0" in text:
        raise DataError(f"{name} holds NUL bytes", "a text file")
    form = _csv_form(name, text)
    body = "\n".join(line for line in text.splitlines()[form.first_row :] if line.strip())
    try:
        frame = pl.read_csv(
            io.BytesIO(body.encode()),
            has_header=False,
            separator=form.separator,
            infer_schema=False,
            new_columns=[str(index) for index in range(form.width)],
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _ragged(name, body, form, error) from error
    if frame.width != form.width:
        raise _ragged(name, body, form, None)
    return Table(form.header, tuple(frame.get_columns()), form.preamble)


@dataclass(frozen=True, slots=True)
class _CsvForm:
    separator: str
    width: int
    header: tuple[str, ...] | None
    first_row: int
    preamble: tuple[str, ...]


def _csv_form(name: str, text: str) -> _CsvForm:
    """Find separator, width, header and first row from the first lines of a file."""
    lines = text[:_SAMPLE_BYTES].splitlines()[:_SAMPLE_LINES]
    best: tuple[int, str, list[list[str]]] = (0, "", [])
    for separator in (",", ";", "\t", "|"):
        try:
            parsed = [next(csv.reader([line], delimiter=separator), []) for line in lines]
        except csv.Error:
            continue
        tail = [len(fields) for fields in parsed[len(parsed) // 2 :] if fields]
        width = Counter(tail).most_common(1)[0][0] if tail else 0
        if width > best[0]:
            best = (width, separator, parsed)
    width, separator, parsed = best
    if width < _FEWEST_COLUMNS:
        raise DataError(
            f"{name} has no lines of {_FEWEST_COLUMNS} or more columns",
            "time, open, high, low, close, volume separated by comma, semicolon, tab or bar",
        )
    for number, fields in enumerate(parsed):
        numbers = sum(_NUMBER.fullmatch(field) is not None for field in fields)
        if len(fields) == width and numbers >= _FEWEST_COLUMNS - 1:
            above = parsed[number - 1] if number else []
            header = tuple(field.strip() for field in above) if len(above) == width else None
            above_table = tuple(lines[: number - (header is not None)])
            return _CsvForm(separator, width, header, number, above_table)
    raise DataError(
        f"{name}: none of the first {len(parsed)} lines holds the numbers of a candle",
        "numbers with a decimal point, one candle per line",
    )


def _ragged(name: str, body: str, form: _CsvForm, error: BaseException | None) -> DataError:
    for number, fields in enumerate(csv.reader(body.splitlines(), delimiter=form.separator), 1):
        if len(fields) != form.width:
            return DataError(
                f"row {number} of {name} has {len(fields)} columns", f"{form.width} as in others"
            )
    return DataError(f"{name} cannot be read as CSV: {error}", "a plain table")


def _read_json(name: str, content: bytes) -> Table:
    import msgspec

    try:
        rows = msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{name} is no JSON: {error}", "a JSON list of candles") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{name} holds no list of candles", "[[time, open, ...], ...] or objects")
    first = rows[0]
    if isinstance(first, dict):
        names = tuple(first)
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict) or row.keys() != first.keys():
                raise DataError(f"row {number} of {name} has other keys", f"{', '.join(names)}")
        lists = [[row[key] for row in rows] for key in names]
        return Table(names, tuple(_json_column(name, key, lists[i]) for i, key in enumerate(names)))
    width = len(first) if isinstance(first, list) else 0
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != width or width < _FEWEST_COLUMNS:
            raise DataError(
                f"row {number} of {name} is no candle", "a list of time and five numbers"
            )
    columns = zip(*rows, strict=True)
    return Table(
        None, tuple(_json_column(name, str(i), list(each)) for i, each in enumerate(columns))
    )


def _json_column(name: str, column: str, values: list[Any]) -> "pl.Series":
    import polars as pl

    for number, value in enumerate(values, 1):
        if isinstance(value, bool | list | dict):
            raise DataError(
                f"row {number}, column {column} of {name} holds {type(value).__name__}",
                "numbers or text",
            )
    if any(isinstance(value, str) for value in values):
        return pl.Series(
            column, [None if value is None else str(value) for value in values], dtype=pl.String
        )
    whole = all(isinstance(value, int) and abs(value) < 2**62 for value in values)
    return pl.Series(column, values, dtype=pl.Int64) if whole else _floats(name, column, values)


def _floats(name: str, column: str, values: list[Any]) -> "pl.Series":
    import polars as pl

    try:
        numbers = [None if value is None else float(value) for value in values]
    except OverflowError as error:
        raise DataError(
            f"column {column} of {name}: {error}", "numbers a float can hold"
        ) from error
    return pl.Series(column, numbers, dtype=pl.Float64)


def _read_framed(name: str, form: str, content: bytes) -> Table:
    frame = read_framed(name, form, content)
    if not frame.height:
        raise DataError(f"{name} has no rows", "candles")
    return Table(tuple(frame.columns), tuple(frame.get_columns()))


def _read_parquet(name: str, content: bytes) -> Table:
    return _read_framed(name, "parquet", content)


def _read_feather(name: str, content: bytes) -> Table:
    return _read_framed(name, "feather", content)


_READERS: dict[str, Callable[[str, bytes], Table]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
}
