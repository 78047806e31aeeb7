"""The latch on disk: present means halted, whatever it says and whoever reads it."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from adan_core.domain.errors import SystemFailure
from adan_core.domain.state import KillKind
from adan_core.trading.latch import LATCH_SCHEMA_VERSION, KillLatch


def test_a_latch_is_found_by_the_next_reader_until_it_is_removed(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path / "state" / "kill.json")
    assert latch.read() is None
    latch.remove()
    written = latch.latch(KillKind.HALT, "too fast", "key", 1, 2)
    assert KillLatch(latch.path).read() == written
    assert latch.path.stat().st_mode & 0o777 == 0o600
    latch.remove()
    assert latch.read() is None


def test_a_latch_only_grows_stronger_and_keeps_its_first_reason(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path / "kill.json")
    first = latch.latch(KillKind.HALT, "first", "key", 1, 2)
    assert latch.latch(KillKind.HALT, "second", "socket", 3, 4) == first
    stronger = latch.latch(KillKind.FLATTEN, "third", "socket", 5, 6)
    assert stronger.kind is KillKind.FLATTEN
    assert "first" in stronger.reason
    assert latch.latch(KillKind.HALT, "fourth", "key", 7, 8) == stronger


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema_version": 1}', b"\xff\xfe\x00", b"HALT"],
)
def test_a_torn_latch_is_a_latch(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kill.json"
    path.write_bytes(content)
    found = KillLatch(path).read()
    assert found is not None
    assert found.kind is KillKind.HALT
    assert "cannot be read" in found.reason


def test_a_newer_or_unreadable_latch_is_a_latch(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path / "kill.json")
    written = latch.latch(KillKind.HALT, "why", "key", 1, 2)
    document = msgspec.json.decode(latch.path.read_bytes())
    document["schema_version"] = LATCH_SCHEMA_VERSION + 1
    latch.path.write_bytes(msgspec.json.encode(document))
    assert latch.read() not in (None, written)
    latch.path.unlink()
    latch.path.mkdir()
    assert latch.read() is not None
    with pytest.raises(SystemFailure):
        latch.remove()


def test_the_latch_and_the_status_cost_no_heavy_import() -> None:
    heavy = ("numba", "numpy", "pydantic", "torch", "textual", "ccxt", "polars", "asyncio")
    program = (
        "import sys\n"
        "import adan_core.trading.latch, adan_core.trading.journal_status\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
