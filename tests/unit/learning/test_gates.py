"""The gates: each says no by itself, with its figure and its limit; what is not known passes none."""

from dataclasses import fields, replace
from typing import Any

import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.learning.gates import GateFigures, judge_gates

GATES = load_settings(locate(None, {"ADAN_HOME": "/nonexistent"})).settings.gates
GOOD = GateFigures(
    seeds=5,
    excess_over_flat=0.4,
    excess_over_buy_and_hold=0.1,
    max_drawdown=0.12,
    deflated_sharpe=0.99,
    trades=80,
    largest_share=0.6,
    saturated=False,
    leakcheck_clean=True,
    paper_days=20.0,
)
BAD: dict[str, Any] = {
    "seeds": 2,
    "excess_over_flat": 0.0,
    "excess_over_buy_and_hold": -0.01,
    "max_drawdown": 0.30,
    "deflated_sharpe": 0.95,
    "trades": 29,
    "saturated": True,
    "leakcheck_clean": False,
    "paper_days": 13.9,
}


def test_a_good_model_passes_every_gate() -> None:
    verdict = judge_gates(GOOD, GATES, for_live=True)
    assert verdict.passed
    assert len(verdict.gates) == 9
    assert all(gate.figure != "N/A" and gate.limit and not gate.reason for gate in verdict.gates)


@pytest.mark.parametrize("name", BAD)
def test_each_gate_says_no_by_itself_with_its_figure_and_limit(name: str) -> None:
    verdict = judge_gates(replace(GOOD, **{name: BAD[name]}), GATES, for_live=True)
    (failed,) = verdict.failed
    assert not verdict.passed
    assert failed.reason == (
        "it is saturated: it does not decide"
        if name == "saturated"
        else f"{failed.figure}, not {failed.limit}"
    )
    assert "not not" not in failed.reason


@pytest.mark.parametrize("name", [one.name for one in fields(GateFigures)][:-1])
def test_what_is_not_known_passes_no_gate_and_says_why(name: str) -> None:
    key = "saturated" if name == "largest_share" else name
    unknown = replace(GOOD, **{name: None}, unavailable={key: "nobody looked"})
    (failed,) = judge_gates(unknown, GATES, for_live=True).failed
    if name != "saturated":  # its share is known, and so is said
        assert (failed.figure, failed.reason) == ("N/A", "nobody looked")
    else:
        assert failed.reason == "it was not measured"


def test_nothing_measured_is_nothing_passed() -> None:
    verdict = judge_gates(GateFigures(), GATES, for_live=True)
    assert verdict.failed == verdict.gates
    assert {gate.reason for gate in verdict.gates} == {"it was not measured"}


def test_days_on_paper_are_asked_of_a_live_model_alone() -> None:
    fresh = replace(GOOD, paper_days=0.0)
    assert judge_gates(fresh, GATES).passed
    assert [gate.name for gate in judge_gates(fresh, GATES, for_live=True).failed] == [
        "days on paper"
    ]


def test_the_limits_are_those_of_the_settings() -> None:
    strict = GATES.model_copy(
        update={
            "minimum_seeds": 6,
            "minimum_excess": 1.0,
            "maximum_drawdown": 0.01,
            "minimum_deflated_sharpe": 0.995,
            "minimum_trades": 100,
            "minimum_paper_days": 30.0,
        }
    )
    names = {gate.name for gate in judge_gates(GOOD, strict, for_live=True).failed}
    assert names == {
        "seeds judged",
        "beats flat after doubled fees",
        "beats buy and hold after doubled fees",
        "drawdown",
        "deflated Sharpe ratio",
        "trades",
        "days on paper",
    }
