"""What an operator in a hurry types costs next to nothing."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import plain_environment

ADAN_CORE = str(Path(sys.executable).with_name("adan-core"))
ROUNDS = 7


def cheapest(words: list[str]) -> tuple[float, float]:
    """Return the least wall and CPU seconds of several runs: what is left is the command's own."""
    wall, processor = [], []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(
            [ADAN_CORE, *words], env=plain_environment(), capture_output=True, check=False
        )
        wall.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(wall), min(processor)


@pytest.mark.slow
def test_help_is_shown_within_150_milliseconds(home: Path) -> None:
    wall, _ = cheapest(["--help"])
    assert wall < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["halt"], ["kill"]])
def test_a_short_command_costs_under_300_milliseconds_of_cpu(words: list[str], home: Path) -> None:
    _, processor = cheapest(words)
    assert processor < 0.3
