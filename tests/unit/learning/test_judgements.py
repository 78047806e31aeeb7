"""Judgements beside the bundles: signed, of one content, and what they let one expect."""

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adan_core.domain.errors import ModelError, SecurityError
from adan_core.learning.expectation import HORIZONS, Expectation, expect
from adan_core.learning.gates import GateFigures
from adan_core.learning.judgements import (
    JUDGEMENT_SCHEMA_VERSION,
    Judgement,
    judgements_of,
    keep_judgement,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
TRUSTED = {"operator": KEY.public_key().public_bytes_raw()}


def judgement(judged_at: int = 1, expectation: Expectation | None = None) -> Judgement:
    return Judgement(
        JUDGEMENT_SCHEMA_VERSION,
        "m",
        "d" * 64,
        judged_at,
        "a test",
        "made candles",
        GateFigures(seeds=3, trades=40),
        expectation,
        {"rows": [1, 2]},
    )


def test_what_was_kept_is_read_the_newest_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    equity = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.001, 500)))
    expectation = expect(equity, rng.integers(0, 2, 499).astype(float))
    keep_judgement(tmp_path, judgement(1), KEY)
    keep_judgement(tmp_path, judgement(2, expectation), KEY)
    newest, older = judgements_of(tmp_path, "m", "d" * 64, TRUSTED)
    assert newest == judgement(2, expectation)
    assert older == judgement(1)
    assert judgements_of(tmp_path, "another", "d" * 64, TRUSTED) == ()


def test_a_verdict_cannot_be_moved_to_another_model(tmp_path: Path) -> None:
    path = keep_judgement(tmp_path, judgement(), KEY)
    with pytest.raises(ModelError, match="a verdict belongs to one model"):
        judgements_of(tmp_path, "m", "e" * 64, TRUSTED)
    (tmp_path / "thief").mkdir()
    path.rename(tmp_path / "thief" / path.name)
    with pytest.raises(ModelError, match="a verdict belongs to one model"):
        judgements_of(tmp_path, "thief", "d" * 64, TRUSTED)


def test_an_altered_or_a_stranger_s_verdict_is_refused(tmp_path: Path) -> None:
    path = keep_judgement(tmp_path, judgement(), KEY)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"trades":40', b'"trades":90'))
    with pytest.raises(SecurityError, match="altered"):
        judgements_of(tmp_path, "m", "d" * 64, TRUSTED)
    path.write_bytes(whole)
    stranger = {"operator": Ed25519PrivateKey.generate().public_key().public_bytes_raw()}
    with pytest.raises(SecurityError, match="nobody here trusts"):
        judgements_of(tmp_path, "m", "d" * 64, stranger)
    path.write_bytes(b"not json")
    with pytest.raises(SecurityError, match="not JSON"):
        judgements_of(tmp_path, "m", "d" * 64, TRUSTED)


def test_a_newer_judgement_is_refused(tmp_path: Path) -> None:
    keep_judgement(tmp_path, replace(judgement(), schema_version=99), KEY)
    with pytest.raises(ModelError, match="schema version 99"):
        judgements_of(tmp_path, "m", "d" * 64, TRUSTED)


def test_the_band_holds_what_it_was_drawn_from_and_not_what_loses() -> None:
    """On independent returns the floor is the normal distribution's 1 % quantile."""
    rng = np.random.default_rng(3)
    mean, deviation, count = 2e-4, 1e-3, 20_000
    returns = rng.normal(mean, deviation, count)
    band = expect(np.exp(np.concatenate(([0.0], np.cumsum(returns)))), np.ones(count))
    for length in HORIZONS:
        floor = band.floor(length)
        assert floor is not None
        expected = length * returns.mean() - 2.326 * deviation * math.sqrt(length)
        assert floor == pytest.approx(expected, abs=0.35 * deviation * math.sqrt(length))
        assert length * -mean < floor or length == HORIZONS[0]
    assert band.floor(HORIZONS[0] - 1) is None
    between = band.floor(HORIZONS[0] + 1)
    assert between is not None
    assert 0.0 < band.max_drawdown < 0.2
    assert band.mix == ((1.0, 1.0),)
    assert band.entropy == 0.0


def test_staying_counts_as_what_is_held_and_the_mix_survives_its_storage() -> None:
    targets = np.array([math.nan, 1.0, math.nan, math.nan, 0.0, math.nan])
    band = expect(np.exp(np.zeros(7)), targets)
    assert band.mix == ((0.0, 0.5), (1.0, 0.5))
    assert band.entropy == pytest.approx(math.log(2.0))
    again = msgspec.json.decode(msgspec.json.encode(band), type=Expectation)
    assert again == band
