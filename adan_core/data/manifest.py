"""What the store knows of a data set without reading its candles: names and manifests."""

import re
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from adan_core.data.findings import Finding
from adan_core.data.partitions import Partition, digest, file_name
from adan_core.data.series import tree_hash
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds

SCHEMA_VERSION = 2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_FIRST = "; the first: "


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A data set's manifest: what it holds, where it came from, what was found on the way in.

    ``start`` is the first opening and ``end`` the last closing in milliseconds; ``missing`` counts
    the candles absent between them; ``source`` names everything they came from. ``partitions`` are
    in order of time; a data set of schema version 1, one file not divided yet, has none.
    """

    schema_version: int
    name: str
    symbol: str
    timeframe: str
    rows: int
    missing: int
    start: Milliseconds
    end: Milliseconds
    synthetic: bool
    source: str
    content_hash: str
    findings: tuple[Finding, ...]
    partitions: tuple[Partition, ...]


def dataset_name(symbol: str, timeframe: Timeframe) -> str:
    """Return the name a data set has unless another is given, e.g. ``BTC-USDT-1h``."""
    return f"{symbol.replace('/', '-')}-{timeframe}"


def is_name(text: str) -> bool:
    """Return whether a data set may bear this name."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> str:
    """Return ``name`` if a data set may bear it; DataError otherwise (no path can be smuggled in)."""
    if not is_name(name):
        raise DataError(
            f"data set name {name!r}",
            "1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first",
            "choose a name such as BTC-USDT-1h",
        )
    return name


def describe_partitions(
    name: str,
    symbol: str,
    timeframe: Timeframe,
    synthetic: bool,
    source: str,
    findings: tuple[Finding, ...],
    partitions: tuple[Partition, ...],
) -> DatasetInfo:
    """Return the manifest of a data set made of these partitions, at least one, in order of time."""
    rows = sum(partition.rows for partition in partitions)
    start, end = partitions[0].start, partitions[-1].end
    return DatasetInfo(
        schema_version=SCHEMA_VERSION,
        name=name,
        symbol=symbol,
        timeframe=str(timeframe),
        rows=rows,
        missing=(end - start) // timeframe.duration - rows,
        start=start,
        end=end,
        synthetic=synthetic,
        source=source,
        content_hash=tree_hash(symbol, timeframe, [each.content_hash for each in partitions]),
        findings=findings,
        partitions=partitions,
    )


def encode_manifest(info: DatasetInfo) -> bytes:
    """Return the manifest as its file holds it: with a hash of all it says.

    The content hash covers candles, symbol and timeframe alone; whether they are simulated, where
    they came from and what was found must not change unnoticed either.
    """
    record: dict[str, object] = msgspec.to_builtins(info)
    return msgspec.json.encode(record | {"manifest_hash": digest(msgspec.json.encode(info))})


def parse_manifest(content: bytes) -> DatasetInfo:
    """Return the manifest of schema version 2 that ``content`` is; DataError if it is damaged."""
    try:
        info = msgspec.json.decode(content, type=DatasetInfo)
        stated = msgspec.json.decode(content, type=_Hash).manifest_hash
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"its manifest is damaged ({error})") from error
    in_order = all(one.month < other.month for one, other in pairwise(info.partitions))
    named = all(
        _MONTH.fullmatch(each.month) and each.file == file_name(each.month, each.file_hash)
        for each in info.partitions
    )
    if not info.partitions or not in_order or not named:
        raise DataError("its manifest names files that are not its partitions")
    whole = describe_partitions(
        info.name,
        info.symbol,
        Timeframe.parse(info.timeframe),
        info.synthetic,
        info.source,
        info.findings,
        info.partitions,
    )
    if whole != info:
        raise DataError("its manifest does not agree with its partitions")
    if stated != digest(msgspec.json.encode(info)):
        raise DataError("its manifest does not have the hash it was stored with")
    return info


def schema_version(content: bytes) -> int | None:
    """Return the schema version a manifest states, None if it states none."""
    try:
        return msgspec.json.decode(content, type=_Version).schema_version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def joined_sources(source: str, added: str) -> str:
    """Return ``source`` with what was added to it, each named once."""
    return source if added in source.split(" + ") else f"{source} + {added}"


def joined_findings(
    findings: tuple[Finding, ...], added: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    """Return findings with those of candles added later, one for each kind and treatment.

    However often candles are added, there are no more of them than kinds.
    """
    joined = {(each.code, each.treatment): each for each in findings}
    for each in added:
        key = (each.code, each.treatment)
        joined[key] = _joined(joined[key], each) if key in joined else each
    return tuple(joined.values())


def _joined(old: Finding, new: Finding) -> Finding:
    count = old.count + new.count
    first = old.message.rpartition(_FIRST)[2]
    return Finding(
        code=old.code,
        severity=max(old.severity, new.severity, key=tuple(Severity).index),
        treatment=old.treatment,
        count=count,
        candles=old.candles + new.candles,
        places=old.places,
        message=f"{count} in candles added at several times{_FIRST}{first}",
    )


@dataclass(frozen=True, slots=True)
class _Hash:
    manifest_hash: str


@dataclass(frozen=True, slots=True)
class _Version:
    schema_version: int
