"""Sealed models: what is whole and trusted loads; everything else is refused with its reason."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ModelError
from adan_core.learning.bundle import MODEL_SCHEMA_VERSION, ModelCard, seal_model
from adan_core.learning.calibration import uncalibrated
from adan_core.learning.member import MemberCard
from adan_core.learning.registry import ModelRegistry, shipped_models
from adan_core.learning.votes import VotingRules
from adan_core.security.sealing import seal
from adan_core.security.shipped_key import shipped_public_key

FEATURES = """\
schema_version: 2
name: tiny
windows: [1, 1, 1]
features:
  - {name: return_1, function: log_return, parameters: [1], timeframes: [0, 1, 2]}
"""
LADDER = tuple(Timeframe.parse(text) for text in ("5m", "1h", "4h"))
SPEC = FeatureSet.parse(FEATURES, "test")
SCHEMA = SPEC.schema_hash(LADDER)
COLUMNS = (*SPEC.columns(LADDER), *PORTFOLIO_COLUMNS)
INPUTS = 10
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
TRUSTED = {"operator": KEY.public_key().public_bytes_raw()}


MEMBER = MemberCard(
    name="swing",
    algorithm="PPO",
    horizon=24,
    columns=COLUMNS,
    exposures=(0.0, 1.0),
    levels=(0.0, 1.0),
    stop_loss=0.05,
    take_profit=0.1,
    lowest_weight=1.0,
    highest_weight=1.0,
    seed=0,
    steps=1,
    selected_at=1,
    validation_score=0.1,
    calibration=uncalibrated(5),
    settings={},
)


def member_card(name: str) -> MemberCard:
    """Return the card of a member called ``name``."""
    return replace(MEMBER, name=name)


def weights() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    shapes = {
        "mlp_extractor.policy_net.0": (4, INPUTS),
        "mlp_extractor.value_net.0": (4, INPUTS),
        "action_net": (2, 4),
        "value_net": (1, 4),
    }
    made: dict[str, NDArray[np.float32]] = {}
    for name, shape in shapes.items():
        made[f"{name}.weight"] = rng.standard_normal(shape).astype(np.float32)
        made[f"{name}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    return made


def card(model_id: str = "tiny", created_at: int = 5) -> ModelCard:
    return ModelCard(
        schema_version=MODEL_SCHEMA_VERSION,
        model_id=model_id,
        created_at=created_at,
        trained_on="nothing",
        synthetic=True,
        ladder=("5m", "1h", "4h"),
        feature_schema_hash=SCHEMA,
        data=(),
        members=(MEMBER,),
        rules=VotingRules(agreement=0.6, adaptation=0.02, sharpness=10.0, cost_rate=0.0015),
        library_versions={},
        parent=None,
    )


NORMALISER = Normaliser(
    np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]), 10, 20, "data", SCHEMA
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    seal_model(folder, card(), [weights()], NORMALISER, FEATURES, KEY)
    return folder


def registry(models: Path, trusted: dict[str, bytes] | None = None) -> ModelRegistry:
    return ModelRegistry(
        models, models / "no shipped ones", TRUSTED if trusted is None else trusted
    )


def resealed(folder: Path) -> None:
    seal(folder, KEY, {"kind": "model"})


def test_what_was_sealed_is_what_is_loaded(models: Path) -> None:
    model = registry(models).load("tiny", SCHEMA)
    assert model.card == card()
    assert model.signer == "operator"
    assert model.model_id == model.open_policy().model_id == "tiny"
    np.testing.assert_array_equal(model.normaliser.mean, NORMALISER.mean)
    np.testing.assert_array_equal(model.normaliser.deviation, NORMALISER.deviation)
    assert (model.normaliser.start_time, model.normaliser.stop_time) == (10, 20)
    assert model.features.schema_hash(LADDER) == SCHEMA
    observation = np.linspace(-1.0, 1.0, INPUTS, dtype=np.float32)
    answer = model.open_policy().decide("BTC/SIM", 0, 100.0, observation, -1)
    assert answer.target_exposure in {0.0, 1.0}
    assert [vote.member for vote in answer.votes] == ["swing"]


def test_an_altered_file_is_refused(models: Path) -> None:
    path = models / "tiny" / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="altered"):
        registry(models).load("tiny")


def test_an_unsigned_bundle_is_refused(models: Path) -> None:
    (models / "tiny" / "manifest.sig").unlink()
    with pytest.raises(ModelError, match=r"manifest\.sig"):
        registry(models).load("tiny")


def test_a_stranger_s_key_is_refused(models: Path) -> None:
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(ModelError, match="nobody here trusts"):
        registry(models, {"operator": stranger}).load("tiny")


def test_a_missing_normaliser_is_refused_even_if_sealed_so(models: Path) -> None:
    (models / "tiny" / "normaliser.json").unlink()
    resealed(models / "tiny")
    with pytest.raises(ModelError, match="without its normaliser"):
        registry(models).load("tiny")


def test_a_pickled_payload_is_refused_even_if_sealed_so(models: Path) -> None:
    import pickle

    (models / "tiny" / "weights.safetensors").write_bytes(pickle.dumps({"weight": [1.0]}))
    with pytest.raises(ModelError, match="pickle"):
        resealed(models / "tiny")
    with pytest.raises(ModelError, match=r"altered|pickle"):
        registry(models).load("tiny")


def test_weights_that_are_no_safetensors_are_refused(models: Path) -> None:
    (models / "tiny" / "weights.safetensors").write_bytes(b"not weights at all, but long enough")
    resealed(models / "tiny")
    with pytest.raises(ModelError, match="no safetensors file"):
        registry(models).load("tiny")


def test_another_feature_schema_is_refused(models: Path) -> None:
    with pytest.raises(ModelError, match="reads state"):
        registry(models).load("tiny", "another")


def test_a_card_that_belies_its_features_is_refused(models: Path) -> None:
    path = models / "tiny" / "model.json"
    path.write_bytes(path.read_bytes().replace(SCHEMA.encode(), b"0" * 32))
    resealed(models / "tiny")
    with pytest.raises(ModelError, match="reads state"):
        registry(models).load("tiny")


def test_a_normaliser_of_another_state_is_refused(models: Path) -> None:
    path = models / "tiny" / "normaliser.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_hash": "other"}))
    resealed(models / "tiny")
    with pytest.raises(ModelError, match="normaliser of another state"):
        registry(models).load("tiny")


def test_a_newer_schema_is_refused(models: Path) -> None:
    path = models / "tiny" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    resealed(models / "tiny")
    with pytest.raises(ModelError, match="schema version 99"):
        registry(models).load("tiny")


def test_a_renamed_bundle_is_refused(models: Path) -> None:
    (models / "tiny").rename(models / "other")
    with pytest.raises(ModelError, match="in a folder called other"):
        registry(models).load("other")


def test_an_id_is_taken_once(models: Path) -> None:
    with pytest.raises(ModelError, match="a model called tiny"):
        seal_model(models, card(), [weights()], NORMALISER, FEATURES, KEY)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    broken = weights()
    broken["action_net.bias"] = np.array([np.nan, 0.0], dtype=np.float32)
    seal_model(tmp_path / "models", card(), [broken], NORMALISER, FEATURES, KEY)
    with pytest.raises(ModelError, match="not finite"):
        registry(tmp_path / "models").load("tiny")


def test_the_listing_shows_the_refused_ones_with_their_reason(models: Path) -> None:
    seal_model(models, card("newer", 9), [weights()], NORMALISER, FEATURES, KEY)
    (models / "tiny" / "features.yaml").write_text(FEATURES + "# altered\n")
    newer, tiny = registry(models).listing()
    assert (newer.model_id, newer.refused) == ("newer", "")
    assert tiny.model_id == "tiny"
    assert "altered" in tiny.refused


def test_the_default_is_the_newest_that_reads_this_state(models: Path) -> None:
    seal_model(models, card("newer", 9), [weights()], NORMALISER, FEATURES, KEY)
    assert registry(models).default(SCHEMA).model_id == "newer"
    with pytest.raises(ModelError, match="no model reads this market"):
        registry(models).default("another")


def test_an_unknown_model_is_said_with_those_there_are(models: Path) -> None:
    with pytest.raises(ModelError, match="no model called nobody; expected: tiny"):
        registry(models).load("nobody")


def test_the_shipped_model_loads_and_was_judged(tmp_path: Path) -> None:
    shipped = ModelRegistry(tmp_path, shipped_models(), {"shipped": shipped_public_key()})
    (listed,) = shipped.listing()
    assert listed.refused == ""
    model = shipped.load(listed.model_id)
    assert model.signer == "shipped"
    assert model.card.synthetic
    assert model.evaluation is not None
    assert all(path["excess"]["flat"] > 0.0 for path in model.evaluation["paths"])
    assert not any(path["saturation"]["saturated"] for path in model.evaluation["paths"])


def test_a_policy_refuses_what_it_was_not_made_for(models: Path) -> None:
    policy = registry(models).load("tiny").open_policy()
    with pytest.raises(ModelError, match="shape"):
        policy.decide("BTC/SIM", 0, 1.0, np.zeros(INPUTS + 1, dtype=np.float32), -1)
    with pytest.raises(ModelError, match="not finite"):
        policy.decide("BTC/SIM", 0, 1.0, np.full(INPUTS, np.nan, dtype=np.float32), -1)


def test_the_summary_says_who_signed_and_what_on(models: Path) -> None:
    summary = registry(models).load("tiny").summary()
    assert (summary.model_id, summary.signer, summary.synthetic) == ("tiny", "operator", True)
    assert replace(summary, trained_on="") != summary


def test_a_model_may_not_be_taken_in_under_the_name_of_a_shipped_one(tmp_path: Path) -> None:
    mine = ModelRegistry(tmp_path / "mine", shipped_models(), {"shipped": shipped_public_key()})
    (shipped,) = mine.shipped_digests()
    mine.export(shipped, tmp_path / "copy.tar")
    with pytest.raises(ModelError, match=f"a model called {shipped} is here already"):
        mine.take_in(tmp_path / "copy.tar")
    assert mine.is_shipped(shipped)
