"""Bundles of several members: each with its own weights and columns, and made of others' only if they fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.profile_settings import PROFILES
from adan_core.config.settings import Settings
from adan_core.data.normaliser import Normaliser
from adan_core.domain.errors import ConfigurationError, InvalidSettings, ModelError
from adan_core.learning.bundle import ModelCard, Origin, seal_model
from adan_core.learning.combining import combined_card
from adan_core.learning.inference import Network
from adan_core.learning.member import Member
from adan_core.learning.profiles import terms_of
from tests.unit.learning.test_registry import (
    FEATURES,
    INPUTS,
    KEY,
    LADDER,
    MEMBER,
    NORMALISER,
    SCHEMA,
    card,
    registry,
    weights,
)

Weights = dict[str, NDArray[np.float32]]


def of(model_id: str, *names: str) -> ModelCard:
    return replace(card(model_id), members=tuple(replace(MEMBER, name=name) for name in names))


def scaled(factor: float) -> Weights:
    return {name: values * np.float32(factor) for name, values in weights().items()}


def test_four_members_are_sealed_each_with_its_own_weights(tmp_path: Path) -> None:
    own = [scaled(1.0 + place) for place in range(4)]
    seal_model(tmp_path / "m", of("four", *PROFILES), own, NORMALISER, FEATURES, KEY)
    model = registry(tmp_path / "m").load("four", SCHEMA)
    for place, member in enumerate(model.members):
        assert member.card.name == PROFILES[place]
        assert isinstance(member.network, Network)
        np.testing.assert_array_equal(member.network.policy[-1].bias, own[place]["action_net.bias"])
    answer = model.open_policy().decide("A", 0, 1.0, np.zeros(INPUTS, dtype=np.float32), 0)
    assert [vote.member for vote in answer.votes] == list(PROFILES)


@pytest.mark.parametrize("names", [(), ("swing", "swing"), ("a", "b", "c", "d", "e")])
def test_a_bundle_has_one_to_four_members_each_with_its_name(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    own = [weights() for _ in names]
    seal_model(tmp_path / "m", of("odd", *names), own, NORMALISER, FEATURES, KEY)
    with pytest.raises(ModelError, match="one to 4"):
        registry(tmp_path / "m").load("odd")


def test_a_member_that_reads_what_nobody_shows_is_refused(tmp_path: Path) -> None:
    reads = replace(MEMBER, columns=("5m:sentiment", *PORTFOLIO_COLUMNS))
    made = replace(card(), members=(reads,))
    seal_model(tmp_path / "m", made, [weights()], NORMALISER, FEATURES, KEY)
    with pytest.raises(ModelError, match="reads 5m:sentiment"):
        registry(tmp_path / "m").load("tiny")


def test_weights_of_no_member_are_refused(tmp_path: Path) -> None:
    seal_model(tmp_path / "m", card(), [weights(), weights()], NORMALISER, FEATURES, KEY)
    with pytest.raises(ModelError, match="those of 1 members"):
        registry(tmp_path / "m").load("tiny")


def test_a_member_sees_its_own_columns_of_the_one_observation() -> None:
    narrow = replace(MEMBER, exposures=(0.0, 1.0))
    full = Network.from_weights(weights())
    member = Member(narrow, full, np.arange(INPUTS)[::-1].copy())
    observation = np.linspace(-1.0, 1.0, INPUTS, dtype=np.float32)
    carried = np.zeros((1, 0), dtype=np.float32)
    opinion = member.opinion(observation, 0.0, carried)
    turned, _ = full.act(np.ascontiguousarray(observation[None, ::-1]), carried)
    np.testing.assert_allclose(opinion.logits, turned[0], rtol=1e-6)
    straight, _ = full.act(observation[None, :], carried)
    assert not np.allclose(opinion.logits, straight[0])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(locate(tmp_path / "home", {}), (), {}).settings


def sealed(folder: Path, made: ModelCard, normaliser: Normaliser = NORMALISER) -> None:
    seal_model(folder, made, [weights()], normaliser, FEATURES, KEY)


def test_members_of_the_same_lessons_make_one_model(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "m"
    sealed(folder, of("fast", "scalper"))
    sealed(folder, of("slow", "swing"))
    models = registry(folder)
    parents = [Origin(name, models.digest(name)) for name in ("fast", "slow")]
    made = combined_card(
        [models.load(one.model_id) for one in parents], parents, "both", settings, 9
    )
    assert made.parents == tuple(parents)
    assert [member.name for member in made.members] == ["scalper", "swing"]
    assert made.rules.agreement == settings.voting.agreement
    assert made.rules.cost_rate == card().rules.cost_rate  # what they learnt under, not what is now
    parts = [models.parts(name) for name in ("fast", "slow")]
    seal_model(
        folder, made, [own for members, _ in parts for own in members], NORMALISER, FEATURES, KEY
    )
    assert models.load("both", SCHEMA).card == made
    assert parts[0][1] == FEATURES


def test_members_of_different_lessons_do_not(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "m"
    sealed(folder, of("fast", "scalper"))
    other = replace(NORMALISER, mean=NORMALISER.mean + 1.0)
    sealed(folder, of("elsewhere", "swing"), other)
    sealed(folder, of("again", "scalper"))
    models = registry(folder)
    with pytest.raises(ModelError, match="different normaliser"):
        combined_card([models.load("fast"), models.load("elsewhere")], (), "x", settings, 9)
    with pytest.raises(ModelError, match="a profile of its own"):
        combined_card([models.load("fast"), models.load("again")], (), "x", settings, 9)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ("costs.fee_rate=0.0008", "costs.fee_rate 0.0008"),
        ("account.short=true", "account.short True"),
        ("behaviour.regimes.crisis.size=0.95", "behaviour.regimes.crisis.size 0.95"),
        ("learning.sizing=tiers", "learning.sizing tiers"),
        ("risk.stop_loss=0.04", "risk.stop_loss 0.04"),
        ("rules.minimum_notional=5", "rules.minimum_notional 5.0"),
        ("reward.drawdown=0.01", ""),
    ],
)
def test_members_that_learnt_under_other_terms_are_refused_and_each_learns_in_its_own_way(
    tmp_path: Path, settings: Settings, changed: str, found: str
) -> None:
    other = load_settings(locate(tmp_path / "home", {}), (changed,), {}).settings
    for model_id, name, own in (("fast", "scalper", settings), ("slow", "swing", other)):
        learnt = replace(MEMBER, name=name, settings=own.model_dump(mode="json"))
        sealed(tmp_path / "m", replace(card(model_id), members=(learnt,)))
    models = registry(tmp_path / "m")
    both = [models.load("fast"), models.load("slow")]
    if not found:
        assert len(combined_card(both, (), "both", settings, 9).members) == 2
        return
    with pytest.raises(ModelError, match=f"slow, member swing, with {found}") as refusal:
        combined_card(both, (), "both", settings, 9)
    assert "as fast learnt" in str(refusal.value)


def test_a_profile_says_how_far_ahead_what_is_read_and_what_is_risked(settings: Settings) -> None:
    market = ("5m:return_1", "1h:return_1", "4h:return_1", "sentiment", "sentiment:known")
    scalper = terms_of(settings, "scalper", market, LADDER)
    assert scalper.columns == ("5m:return_1", "sentiment", "sentiment:known", *PORTFOLIO_COLUMNS)
    assert scalper.learning.gamma == pytest.approx(1.0 - 1.0 / settings.profiles.scalper.horizon)
    assert scalper.learning.episode_length == settings.profiles.scalper.episode_length
    assert scalper.stop_loss == settings.profiles.scalper.stop_loss < settings.risk.stop_loss
    plain = terms_of(settings, "", market, LADDER)
    assert plain.columns == (*market, *PORTFOLIO_COLUMNS)
    assert plain.learning == settings.learning
    with pytest.raises(ModelError, match="gambler"):
        terms_of(settings, "gambler", market, LADDER)


def test_a_profile_that_would_see_nothing_of_the_market_is_refused(tmp_path: Path) -> None:
    far = load_settings(locate(tmp_path, {}), ("profiles.swing.rungs=[3, 7]",), {}).settings
    with pytest.raises(ConfigurationError, match="see nothing of the market"):
        terms_of(far, "swing", ("5m:return_1",), LADDER)


def test_no_profile_risks_more_than_the_limit(tmp_path: Path) -> None:
    tight = load_settings(locate(tmp_path, {}), ("risk.stop_loss=0.02",), {}).settings
    for profile in PROFILES:
        assert terms_of(tight, profile, ("5m:return_1",), LADDER).stop_loss == 0.02


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("profiles.swing.lowest_weight=0.4", "lowest_weight must not exceed highest_weight"),
        ("profiles.swing.highest_weight=0.15", None),
        ("voting.agreement=0.4", "agreement"),
    ],
)
def test_bounds_that_contradict_each_other_are_refused(
    tmp_path: Path, change: str, told: str | None
) -> None:
    if told is None:  # three times 0.35 and 0.15 still reach 1
        load_settings(locate(tmp_path, {}), (change,), {})
        return
    with pytest.raises(InvalidSettings, match=told):
        load_settings(locate(tmp_path, {}), (change,), {})
