"""What tests need from the machine, and what they do without it."""

import os
import shutil
from pathlib import Path

import pytest


def need_tool(name: str) -> str:
    """Return the path of the program ``name``; without it skip the test, on CI fail it."""
    found = shutil.which(name)
    if found is None:
        missing(f"the program {name} is not installed")
    return str(found)


def shared_data() -> Path:
    """Return the folder of real candles, fixtures and known answers; skip the test without it.

    ``SHARED_DATA`` names it; otherwise it is looked for beside the checkout.
    """
    named = os.environ.get("SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set SHARED_DATA to their folder")
    return folder


def missing(reason: str) -> None:
    """Skip the test because of ``reason``; fail it where CI promised that nothing is missing."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and on CI it must be", pytrace=False)
    pytest.skip(reason)


def plain_environment() -> dict[str, str]:
    """Return this process's variables without coverage's: for children that are timed, or run a copy."""
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
