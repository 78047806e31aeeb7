"""A wheel carries every configuration and theme, and finds them from any working directory."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.environment_file import ROOT
from tests.support import plain_environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_every_shipped_file_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"adan_core/shipped/{path.relative_to(ROOT).as_posix()}"
        for folder in ("configs", "themes")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert len(expected) >= 4
    assert expected <= names
    assert "adan_core/shipped/constraints.txt" in names
    assert not any(name.startswith("tests/") or name.endswith(".pyc") for name in names)


def test_an_unpacked_wheel_loads_its_settings_and_themes(wheel: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    program = (
        "import adan_core\n"
        "from adan_core.config.locations import shipped\n"
        "from adan_core.cli.main import main\n"
        "print(adan_core.__file__, shipped())\n"
        "main(['config', 'check'])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=plain_environment()
        | {"PYTHONPATH": str(unpacked), "ADAN_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert str(unpacked / "adan_core" / "shipped") in answer.stdout
    assert "config hash" in answer.stdout
