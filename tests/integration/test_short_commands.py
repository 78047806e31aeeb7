"""What an operator in a hurry types costs next to nothing."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import plain_environment

ADAN_CORE = str(Path(sys.executable).with_name("adan-core"))
ROUNDS = 7


def cheapest(words: list[str]) -> float:
    """Return the least CPU seconds of several runs: what is left is the command's own.

    Wall time would measure the machine's other work, too; `make bench` reports it.
    """
    processor = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [ADAN_CORE, *words], env=plain_environment(), capture_output=True, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(processor)


@pytest.mark.slow
def test_help_costs_under_150_milliseconds(home: Path) -> None:
    assert cheapest(["--help"]) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["halt"], ["kill"]])
def test_a_short_command_costs_under_300_milliseconds(words: list[str], home: Path) -> None:
    assert cheapest(words) < 0.3
