"""`adan-core train --ensemble` trains four members, says which it is at, and seals one model of them."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.test_learning_commands import PASSPHRASE, adan, document, train

pytestmark = pytest.mark.slow

__all__ = ["PASSPHRASE"]


def test_four_profiles_become_one_model_that_votes(home: Path) -> None:
    adan("data", "sample", "--rows", "5000", "--timeframe", "5m", "--name", "sample")
    # The time is up before the first member has learnt; what it had is on disk.
    started = train(
        "--dataset", "sample", "--steps", "1024", "--ensemble", "--timeout", "0.000001", code=124
    )
    assert started["run_id"].endswith("-scalper")
    lines = adan(
        "train", "--passphrase-stdin", "--progress-json", "--resume", started["run_id"]
    ).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert sum(record["state"] == "finished" for record in records) == 1  # the last member's
    told = [record["message"] for record in records]
    for place, profile in enumerate(("scalper", "intraday", "swing", "position")):
        assert any(text.startswith(f"member {place + 1} of 4, {profile}:") for text in told)
    model = started["run_id"].removesuffix("-scalper")
    shown = document("models", "show", model, "--json")
    members = shown["card"]["members"]
    assert [member["name"] for member in members] == ["scalper", "intraday", "swing", "position"]
    assert len({len(member["columns"]) for member in members}) > 1
    judged = document("evaluate", model, "--dataset", "sample", "--json")
    assert len(judged["calibration"]["bins"]) == 10
    assert judged["calibration"]["decisions"] > 0
    assert "expected calibration error" in adan("evaluate", model, "--dataset", "sample").stdout
