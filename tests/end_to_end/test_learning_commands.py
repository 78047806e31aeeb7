"""Learning from the command line, in processes of their own: train, stop, go on, judge, list."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adan_core.cli.main import main
from adan_core.learning.compute import Candidate, ComputeOptimizer, Measurement, Trial
from adan_core.learning.reward import REWARD_TERMS
from tests.support import shared_data

pytestmark = pytest.mark.slow

WORDS = [sys.executable, "-m", "adan_core"]
PASSPHRASE = "a passphrase for tests\n"  # noqa: S105
SMALL = [
    "--set", "learning.copies=16",
    "--set", "learning.steps_per_copy=32",
    "--set", "learning.batch_size=256",
]  # fmt: skip
NO_KEYRING = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent", "XDG_RUNTIME_DIR": ""}


def adan(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*WORDS, *words],
        input=PASSPHRASE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | NO_KEYRING,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def document(*words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(adan(*words, code=code).stdout)
    return found


def here(*words: str) -> int:
    """Carry out a command in this process, where the processes of their own are others, or none."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.fixture
def sample(home: Path) -> str:
    assert here("data", "sample", "--rows", "6000", "--timeframe", "5m", "--name", "sample") == 0
    return "sample"


def train(*words: str, code: int = 0) -> dict[str, Any]:
    return document("train", "--passphrase-stdin", "--json", *SMALL, *words, code=code)


def test_a_model_is_trained_sealed_listed_judged_and_run(home: Path, sample: str) -> None:
    trained = train("--dataset", sample, "--steps", "4096", "--seed", "5")
    assert trained["schema_version"] == 1
    assert trained["state"] == "finished"
    assert trained["seed"] == 5
    model = trained["model_id"]
    # The adaptive reward at work, term by term: all of it but the first two is shaping.
    log = next(home.rglob("progress.jsonl")).read_text().splitlines()
    terms = json.loads(log[-1])["reward_terms"]
    assert list(terms) == list(REWARD_TERMS)
    assert all(terms[name] < 0.0 for name in ("costs", "drawdown", "turnover", "consistency"))
    listed = document("models", "list", "--json")["models"]
    assert listed[0]["model_id"] == model
    assert listed[0]["signer"] == "operator"
    assert [one["shipped"] for one in listed] == [False, True]
    assert model in adan("models", "list").stdout
    shown = document("models", "show", model, "--json")
    assert shown["card"]["data"][0]["symbol"] == "BTC/SIM"
    assert "validation" in adan("models", "show", model).stdout
    judged = document("evaluate", model, "--dataset", sample, "--json")
    assert judged["model_id"] == model
    assert judged["candles"] == 1_200
    assert {one["strategy"] for one in judged["results"]} == {
        "model", "flat", "buy and hold", "sma cross",
    }  # fmt: skip
    flat = judged["results"][1]["metrics"]
    assert flat["sharpe_ratio"] is None
    assert flat["unavailable"]["sharpe_ratio"]
    text = adan("evaluate", "--dataset", sample).stdout
    assert "N/A" in text
    assert "SIMULATED" in text
    played = document("backtest", model, "--dataset", sample, "--json", "--curve")
    assert played["candles_learnt_from"] > 3_000
    assert len(played["equity"]) == len(played["close_time"]) == len(played["targets"]) + 1
    assert played["equity"][-1] == played["last_equity"]


@pytest.mark.parametrize("strategy", ["sma", "buy-and-hold", "flat"])
def test_plain_strategies_run(home: Path, sample: str, strategy: str) -> None:
    played = document("backtest", "--strategy", strategy, "--dataset", sample, "--json")
    assert played["strategy"] == strategy
    assert played["candles_learnt_from"] == 0
    said = adan("backtest", "--strategy", strategy, "--dataset", sample).stdout
    assert strategy in said
    # What is still held is said with what the way out would cost: fee and slippage of a whole purse.
    way_out = played["open_at_the_end"]
    assert (way_out is None) == (strategy == "flat" or "still open at the end" not in said)
    if strategy == "buy-and-hold":
        assert 0.001 < way_out["closing_cost"] / played["last_equity"] < 0.002


def started(words: Sequence[str], home: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [*WORDS, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | NO_KEYRING,
    )
    assert process.stdin is not None
    process.stdin.write(PASSPHRASE)
    process.stdin.flush()
    return process


def interrupted(
    words: Sequence[str], home: Path, number: signal.Signals, code: int
) -> dict[str, Any]:
    """Start a training, send ``number`` once it learns, and return its last record."""
    process = started(words, home)
    assert process.stdout is not None
    for line in process.stdout:
        record = json.loads(line)
        if record["state"] == "running":
            break
    process.send_signal(number)
    rest, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    last: dict[str, Any] = json.loads(rest.splitlines()[-1])
    assert last["state"] == "stopped"
    assert last["schema_version"] == 1
    saved = sorted((home / "data" / "runs" / last["run_id"] / "checkpoints").iterdir())
    assert saved[-1].name == f"checkpoint-{last['steps']:012d}.adan"
    return last


def test_a_signal_saves_a_checkpoint_and_it_goes_on(home: Path, sample: str) -> None:
    words = ["train", "--passphrase-stdin", "--progress-json", *SMALL]
    begin = [*words, "--dataset", sample, "--steps", "100000000"]
    first = interrupted(begin, home, signal.SIGTERM, 143)
    second = interrupted([*words, "--resume", "latest"], home, signal.SIGINT, 130)
    assert second["run_id"] == first["run_id"]
    assert second["steps"] >= first["steps"]
    assert document("models", "list", "--json")["models"][0]["shipped"]


def test_the_time_is_up_and_the_rest_is_learnt_later(home: Path, sample: str) -> None:
    first = train("--dataset", sample, "--steps", "8192", "--timeout", "0.001", code=124)
    assert first["state"] == "timed out"
    assert first["model_id"] is None
    second = train("--resume", first["run_id"])
    assert second["state"] == "finished"
    assert second["model_id"] == first["run_id"]


def test_without_a_signing_key_training_does_not_begin(home: Path, sample: str) -> None:
    done = subprocess.run(
        [*WORDS, "train", "--dataset", sample, "--steps", "1000000"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | NO_KEYRING,
    )
    assert done.returncode == 6, done.stdout + done.stderr
    assert "passphrase" in done.stderr
    assert not (home / "data" / "runs").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["train", "--steps", "0"], 2, "--steps 0"),
        (["train", "--timeout", "nan"], 2, "--timeout nan"),
        (["train", "--seed", "-1"], 2, "--seed -1"),
        (["train", "--resume", "x", "--dataset", "y"], 2, "--resume together with --dataset"),
        (["train", "--resume", "x", "--passphrase-stdin"], 2, "no training run called x"),
        (["train", "--dataset", "none", "--passphrase-stdin"], 3, "no data set 'none'"),
        (["evaluate", "nobody"], 4, "no model called nobody"),
        (["evaluate", "--dataset", "none"], 3, "no data set 'none'"),
        (["backtest", "m", "--strategy", "flat"], 2, "a model and --strategy"),
        (["backtest", "--curve"], 2, "--curve without --json"),
        (["models", "show", "nobody"], 4, "no model called nobody"),
    ],
)
def test_mistakes_are_said_with_their_code(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSPHRASE))
    assert here(*words) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate", "backtest", "models"])
def test_help_teaches_by_an_example(
    home: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert here(command, "--help") == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"  adan-core {command}" in text


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("binance-spot_BTCUSDT_1h_2017-08_2023-12", "BTC-USDT-1h"),
        ("binance-spot_ETHUSDT_5m_2020-12_2021-07", "ETH-USDT-5m"),
    ],
)
def test_real_candles_go_all_the_way(home: Path, file: str, name: str) -> None:
    path = shared_data() / "candles" / f"{file}.parquet"
    symbol, timeframe = name.rsplit("-", 1)[0].replace("-", "/"), name.rsplit("-", 1)[1]
    imported = ("data", "import", str(path), "--symbol", symbol, "--timeframe", timeframe)
    assert here(*imported) == 0
    trained = train("--dataset", name, "--steps", "2048")
    judged = document("evaluate", "--dataset", name, "--json")
    assert judged["model_id"] == trained["model_id"]
    assert not judged["synthetic"]
    played = document("backtest", "--strategy", "sma", "--dataset", name, "--json")
    assert played["metrics"]["trades"] > 10


def test_a_training_beyond_the_memory_budget_is_refused_before_it_learns(
    home: Path, sample: str
) -> None:
    budget = ("--set", "compute.memory_budget_gigabytes=0.01", "--seal-later")
    done = adan("train", *SMALL, "--dataset", sample, "--steps", "2048", *budget, code=7)
    assert "this training cannot fit" in done.stderr
    assert "a plan within compute.memory_budget_gigabytes" in done.stderr


def test_what_computes_fastest_is_measured_where_that_is_asked_for(
    home: Path,
    sample: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = Candidate(threads=1, batch_size=128)
    measured = Measurement((Trial(chosen, 1_000.0),), chosen, "halves are quicker")
    monkeypatch.setattr(ComputeOptimizer, "measure", lambda _optimizer: measured)
    small = (*SMALL, "--dataset", sample, "--steps", "512", "--seal-later", "--json")
    capsys.readouterr()
    assert here("train", *small, "--optimise") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["compute"]["reason"] == "halves are quicker"
    (kept,) = home.rglob("run.json")
    assert '"batch_size":128' in kept.read_text().replace(" ", "")
