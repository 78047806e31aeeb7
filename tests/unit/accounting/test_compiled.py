"""The version of the code changes whenever a source does, so that nothing stale is ever served."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import adan_core
from adan_core.accounting.compiled import source_digests

PACKAGE = Path(adan_core.__file__).parent
_MARK_AN_ACCOUNT = """\
import numba, numpy
from adan_core.accounting.account import ACCOUNT_COLUMNS, CASH, open_account
row = numpy.zeros(ACCOUNT_COLUMNS)
open_account(row, 100.0)
print(numba.config.CACHE_DIR, row[CASH])
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path / "adan_core"))


def test_the_same_sources_elsewhere_are_the_same_version(package: Path, tmp_path: Path) -> None:
    elsewhere = Path(shutil.copytree(package, tmp_path / "elsewhere"))
    assert source_digests(elsewhere) == source_digests(package)


@pytest.mark.parametrize(
    "module",
    [
        "indicators/recurrences.py",
        "indicators/program.py",
        "data/state.py",
        "data/features.py",
        "data/frames.py",
        "domain/candles.py",
        "learning/regime.py",
        "learning/regime_weights.json",
    ],
)
def test_a_changed_source_is_another_version(package: Path, module: str) -> None:
    before = source_digests(package)[1]
    source = package / module
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    source.write_bytes(content)
    assert source_digests(package)[1] != before


def test_a_source_that_moves_or_comes_is_another_version(package: Path) -> None:
    versions = {source_digests(package)[1]}
    (package / "data" / "state.py").rename(package / "data" / "moved.py")
    versions.add(source_digests(package)[1])
    (package / "data" / "new.py").touch()
    versions.add(source_digests(package)[1])
    assert len(versions) == 3


def test_kernels_are_compiled_anew_for_a_changed_kernel_and_for_nothing_else(package: Path) -> None:
    kernels = source_digests(package)[0]
    (package / "data" / "features.py").write_text("CHANGED = True\n")
    assert source_digests(package)[0] == kernels
    source = package / "accounting" / "account.py"
    source.write_bytes(source.read_bytes() + b"# changed\n")
    assert source_digests(package)[0] != kernels


@pytest.mark.slow
def test_where_kernels_cannot_be_kept_they_are_compiled_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "no folder").touch()
    (tmp_path / "temporary").mkdir()
    asked = subprocess.run(
        [
            sys.executable,
            "-c",
            _MARK_AN_ACCOUNT,
        ],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "NUMBA_CACHE_DIR": str(tmp_path / "no folder" / "numba"),
            "TMPDIR": str(tmp_path / "temporary"),
        },
    )
    folder, equity = asked.stdout.split()
    assert Path(folder).parent == tmp_path / "temporary"
    assert float(equity) == 100.0
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_the_version_in_force_is_that_of_the_package_imported(package: Path) -> None:
    asked = subprocess.run(
        [
            sys.executable,
            "-c",
            "from adan_core.accounting.compiled import CODE_VERSION; print(CODE_VERSION)",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=package.parent,
    )
    assert asked.stdout.strip() == source_digests(package)[1]
