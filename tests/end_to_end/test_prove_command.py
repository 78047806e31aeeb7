"""`adan-core prove` from its first candle to its verdict, small: it learns, it says so, it keeps it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def prove(*words: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "adan_core"),
            *("prove", "--rehearsal", "--seeds", "1", "--accounts", "8", "--workers", "1"),
            *words,
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def test_an_agent_learns_a_market_leaves_a_walk_alone_and_is_not_taught_twice(home: Path) -> None:
    asked = ("--markets", "mean-reverting", "random-walk", "--steps", "57000")
    code, document = prove(*asked)
    assert code == 1  # one seed is too few for the gates
    market, walk = (one["proof"] for one in document["markets"])
    assert market["shares"][0] >= 0.5
    assert market["reference"]["oracle"] > market["reference"]["attainable"]
    assert [gate["name"] for gate in market["gates"]["gates"] if not gate["passed"]] == [
        "seeds judged"
    ]
    assert not walk["gates"]["passed"]
    for proved in document["markets"]:
        # Every candle of the test whose horizon has passed has told something about the confidence.
        decisions = proved["confidence"]["decisions"]
        assert decisions["decisions"] == 8 * (7_500 - 100)
        assert decisions["decisions"] == sum(one["count"] for one in decisions["bins"])
        assert proved["calibration_errors"] == [decisions["expected_error"]]
        assert decisions["expected_error"] < 0.1
    [moves] = [
        one["found"]
        for one in walk["requirements"]
        if one["name"].startswith("calibration error of moves")
    ]
    assert moves.startswith("N/A")  # nearly no move is made there: none can be judged
    kept = {path: path.stat().st_mtime_ns for path in home.rglob("*-s1.json")}
    assert len(kept) == 2
    assert not list(home.rglob("run.json"))  # of what was learnt on the way, nothing is left behind
    assert prove(*asked) == (code, document)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_market_that_is_not_there_is_said(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adan_core", "prove", "--markets", "moon"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "moon" in done.stderr
    assert "mean-reverting-hard" in done.stderr
