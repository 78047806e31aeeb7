"""A signature says who made a model, not that it is sound: what no training could have written is refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from adan_core.domain.errors import ModelError
from adan_core.learning.bundle import ModelCard, load_bundle, seal_model
from adan_core.learning.calibration import MoveOdds
from adan_core.learning.member import MemberCard
from tests.unit.learning.test_registry import (
    COLUMNS,
    FEATURES,
    KEY,
    MEMBER,
    NORMALISER,
    TRUSTED,
    card,
    resealed,
    weights,
)

_HEADER = b'{"0/x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
HALVES = len(_HEADER).to_bytes(8, "little") + _HEADER + b"\0\0"


def of(member: MemberCard) -> ModelCard:
    return replace(card(), members=(member,))


def saying(odds: MoveOdds) -> ModelCard:
    return of(replace(MEMBER, calibration=replace(MEMBER.calibration, up=odds)))


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (card(created_at=-1), "made at -1 ms"),
        (card(created_at=10**18), "made at 1000000000000000000 ms"),
        (of(replace(MEMBER, exposures=(0.0, 1e9))), "wants exposures"),
        (of(replace(MEMBER, exposures=(0.5, 1.0))), "wants exposures"),
        (of(replace(MEMBER, exposures=(1.0, 0.0))), "wants exposures"),
        (of(replace(MEMBER, columns=(COLUMNS[1], *COLUMNS[1:]))), "reads a column twice"),
        (of(replace(MEMBER, horizon=0)), "looks 0 candles ahead"),
        (of(replace(MEMBER, stop_loss=0.0)), "protects itself at 0 and"),
        (of(replace(MEMBER, stop_loss=1.5)), "protects itself at 1.5"),
        (of(replace(MEMBER, take_profit=-0.1)), "and -0.1"),
        (of(replace(MEMBER, highest_weight=0.5)), "a weight from 1 to 0.5"),
        (saying(MoveOdds(0.0, 0.0, (1.0, 0.0), (0.4, 0.6))), "no probabilities"),
        (saying(MoveOdds(0.0, 0.0, (0.0, 1.0), (0.6, 0.4))), "no probabilities"),
        (saying(MoveOdds(0.0, 0.0, (0.0, 1.0), (0.6, 1.4))), "no probabilities"),
        (saying(MoveOdds(0.0, 0.0, (0.0, 1.0), (0.6,))), "no probabilities"),
    ],
)
def test_a_signed_card_that_no_training_could_have_written_is_refused(
    tmp_path: Path, odd: ModelCard, told: str
) -> None:
    folder = seal_model(tmp_path, odd, [weights()], NORMALISER, FEATURES, KEY)
    with pytest.raises(ModelError, match=told):
        load_bundle(folder, TRUSTED)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mean": [0.0, 0.0]}, "a normaliser of 2 columns; expected: 3"),
        ({"deviation": [1.0, 1.0, 1.0, 1.0]}, "a normaliser of 4 columns; expected: 3"),
        ({"deviation": [1.0, 0.0, 1.0]}, "not positive"),
        ({"deviation": [1.0, 1.0, -1.0]}, "not positive"),
        ({"schema_version": 9}, "of schema version 9"),
    ],
)
def test_signed_statistics_that_do_not_fit_the_state_are_refused(
    tmp_path: Path, change: Mapping[str, object], told: str
) -> None:
    folder = seal_model(tmp_path, card(), [weights()], NORMALISER, FEATURES, KEY)
    path = folder / "normaliser.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    resealed(folder)
    with pytest.raises(ModelError, match=told):
        load_bundle(folder, TRUSTED)


@pytest.mark.parametrize(
    ("part", "data", "told"),
    [
        ("features.yaml", b"\xff\xfe", "is no text"),
        ("evaluation.json", b'{"a":' + b"[" * 100_000, "an evaluation"),
        ("normaliser.json", b'{"a":' + b"[" * 100_000, "a normaliser"),
        ("model.json", b'{"schema_version":2,"a":' + b"[" * 100_000, "a model's card"),
        ("weights.safetensors", HALVES, "no safetensors file of float32"),
    ],
)
def test_signed_bytes_that_are_not_what_their_name_says_are_refused(
    tmp_path: Path, part: str, data: bytes, told: str
) -> None:
    folder = seal_model(tmp_path, card(), [weights()], NORMALISER, FEATURES, KEY)
    (folder / part).write_bytes(data)
    resealed(folder)
    with pytest.raises(ModelError, match=told):
        load_bundle(folder, TRUSTED)


def test_weights_of_a_member_with_an_endless_number_are_refused(tmp_path: Path) -> None:
    folder = seal_model(tmp_path, card(), [weights()], NORMALISER, FEATURES, KEY)
    numbered = {f"0/{name}": values for name, values in weights().items()}
    data = save({**numbered, "9" * 5_000 + "/x": np.zeros(1, dtype=np.float32)})
    (folder / "weights.safetensors").write_bytes(data)
    resealed(folder)
    with pytest.raises(ModelError, match="those of 1 members"):
        load_bundle(folder, TRUSTED)
