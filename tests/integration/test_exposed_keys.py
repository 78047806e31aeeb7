"""A core does not start beside a key in plain text, and shows that key nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CANARY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"

PLACES = [
    ("config/adan.yaml", f"market:\n  seed: 7\n  api_key: {CANARY}\n", "adan.yaml line 3"),
    ("config/adan.yaml", f"# secret: {CANARY}\n", "adan.yaml line 1"),
    ("config/.env", f"KRAKEN_API_SECRET={CANARY}\n", ".env line 1"),
    ("logs/adan.jsonl", f'{{"event":"x"}}\n{{"apiKey":"{CANARY}"}}\n', "adan.jsonl line 2"),
]


def _run(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adan_core", "--home", str(home), *words],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("file", "text", "place"), PLACES)
def test_a_key_in_a_file_keeps_the_core_from_starting(
    home: Path, file: str, text: str, place: str
) -> None:
    path = home / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    done = _run(home, "run")
    assert done.returncode == 6
    assert place in done.stderr
    assert "revoke" in done.stderr
    assert CANARY[:10] not in done.stdout + done.stderr
    assert not (home / "state" / "journal.sqlite").exists()


@pytest.mark.slow
def test_a_key_in_the_environment_keeps_the_core_from_starting(home: Path) -> None:
    done = _run(home, "run", ADAN_API_SECRET=CANARY)
    assert done.returncode == 6
    assert "environment variable ADAN_API_SECRET" in done.stderr
    assert CANARY[:10] not in done.stdout + done.stderr


def test_an_error_that_quotes_a_value_does_not_quote_a_key(home: Path) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "adan.yaml").write_text(f"market:\n  seed: {CANARY}\n")
    done = _run(home, "config", "check")
    assert done.returncode == 2
    assert "market.seed" in done.stderr
    assert CANARY[:10] not in done.stdout + done.stderr
