"""Members that decide together: votes that explain, abstention, weights that learn, a memory that lasts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.profile_settings import PROFILES
from adan_core.domain.decisions import confidence_of
from adan_core.domain.errors import ModelError
from adan_core.learning.calibration import Calibration, MoveOdds
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.inference import Layer, Network
from adan_core.learning.member import Member
from adan_core.learning.networks import LongMemory, RecurrentNetwork
from tests.members import CANDLE, RULES, member_card, observation, reader, readers

CARDS = tuple(
    member_card(name, horizon) for name, horizon in zip(PROFILES, (4, 8, 16, 40), strict=True)
)
WISHES = st.lists(
    st.floats(-4.0, 4.0).filter(lambda wish: abs(wish) > 1e-3), min_size=4, max_size=4
)


@given(wishes=WISHES, held=st.sampled_from((0.0, 0.93)))
def test_the_votes_explain_the_decision_and_its_confidence(
    wishes: list[float], held: float
) -> None:
    answer = readers(CARDS).decide("BTC/SIM", 0, 100.0, observation(wishes, held), 0)
    assert [vote.member for vote in answer.votes] == list(PROFILES)
    assert [vote.target_exposure for vote in answer.votes] == [float(wish > 0.0) for wish in wishes]
    assert sum(vote.weight for vote in answer.votes) == pytest.approx(1.0)
    assert answer.confidence == confidence_of(answer.votes)
    assert 0.0 <= answer.confidence <= 1.0
    inside = sum(wish > 0.0 for wish in wishes)
    assert answer.abstained == (inside == 2)
    assert np.isnan(answer.target_exposure) == answer.abstained
    target = round(held) if answer.abstained else float(inside > 2)
    assert [vote.agrees for vote in answer.votes] == [
        (wish > 0.0) == (target == 1.0) for wish in wishes
    ]
    if not answer.abstained:
        assert answer.target_exposure == target


@pytest.mark.parametrize("part", ["policy", "value"])
def test_an_answer_that_is_not_finite_decides_nothing(part: str) -> None:
    plain = reader(CARDS[0], 0, len(observation([1.0, 1.0, 1.0, 1.0])))
    assert isinstance(plain.network, Network)
    (last,) = getattr(plain.network, part)
    endless = Layer(last.weight, np.full_like(last.bias, np.inf))
    network = replace(plain.network, **{part: (endless,)})
    policy = EnsemblePolicy(
        "endless",
        (Member(plain.card, network, plain.columns),),
        RULES,
        plain.network.inputs,
        CANDLE,
    )
    with pytest.raises(ModelError, match="answers with numbers that are not finite"):
        policy.decide("BTC/SIM", 0, 100.0, observation([1.0, 1.0, 1.0, 1.0]), 0)


def test_protection_is_the_mean_of_those_who_agree() -> None:
    cards = [replace(card, stop_loss=0.01 * (place + 1)) for place, card in enumerate(CARDS)]
    answer = readers(cards).decide("BTC/SIM", 0, 100.0, observation([1.0, 1.0, 1.0, -1.0]), 0)
    assert answer.stop_loss == pytest.approx(0.02)
    assert answer.expected_return == pytest.approx((1.0 + 1.0 + 1.0 - 1.0) / 4 / 100.0)
    split = readers(cards).decide("BTC/SIM", 0, 100.0, observation([1.0, 1.0, -1.0, -1.0]), 0)
    assert split.stop_loss is None


def test_a_fall_is_expected_where_enough_was_seen_and_only_there() -> None:
    calibrated = replace(CARDS[0].calibration, falls=(0.02, None, None, None, None))
    policy = readers([replace(card, calibration=calibrated) for card in CARDS])
    invested = observation([1.0] * 4)
    assert policy.decide("A", 0, 100.0, invested, 0).expected_drawdown == pytest.approx(0.02)
    assert policy.decide("A", CANDLE, 100.0, invested, 1).expected_drawdown is None
    assert policy.decide("A", 2 * CANDLE, 100.0, invested, -1).expected_drawdown is None
    outside = observation([-1.0] * 4)
    assert policy.decide("A", 3 * CANDLE, 100.0, outside, 1).expected_drawdown == 0.0


def test_a_fall_that_only_a_member_without_a_vote_knows_is_not_expected() -> None:
    plain = CARDS[0].calibration
    known = replace(plain, skill=0.0, falls=(0.02,) * 5)
    policy = readers(
        [
            replace(CARDS[0], calibration=known, lowest_weight=0.0, highest_weight=1.0),
            replace(
                CARDS[1],
                calibration=replace(plain, skill=0.9),
                lowest_weight=0.0,
                highest_weight=1.0,
            ),
            replace(
                CARDS[2],
                calibration=replace(plain, skill=0.0),
                lowest_weight=0.3,
                highest_weight=1.0,
            ),
        ]
    )
    answer = policy.decide("A", 0, 100.0, observation([1.0] * 3), 0)
    assert answer.votes[0].weight == 0.0
    assert answer.expected_drawdown is None


def play(policy: EnsemblePolicy, candles: int, first: int = 0) -> list[tuple[float, ...]]:
    """The price rises by half a percent a candle; the first member knows, the last believes otherwise."""
    weights = []
    for candle in range(first, first + candles):
        close = 100.0 * 1.005**candle
        seen = observation([1.0, 1.0, 1.0, -1.0], 0.0)
        answer = policy.decide("BTC/SIM", candle * CANDLE, close, seen, 0)
        weights.append(tuple(vote.weight for vote in answer.votes))
    return weights


def test_weights_follow_who_was_right_once_the_horizon_has_passed() -> None:
    equal = [member_card(name, 8) for name in PROFILES]
    weights = play(readers(equal), 120)
    assert all(one == pytest.approx((0.25,) * 4) for one in weights[:8])  # nothing is known yet
    assert weights[-1][0] == weights[-1][1] > 0.27
    assert weights[-1][3] == pytest.approx(0.15)
    assert all(sum(one) == pytest.approx(1.0) for one in weights)


def test_no_vote_is_scored_before_its_horizon_and_each_symbol_has_its_own_votes() -> None:
    policy = readers([member_card(name, 8) for name in PROFILES])
    for candle in range(8):
        for symbol in ("A", "B"):
            seen = observation([1.0, 1.0, 1.0, -1.0])
            policy.decide(symbol, candle * CANDLE, 100.0 + candle, seen, 0)
    assert policy.weights == pytest.approx((0.25,) * 4)
    policy.decide("A", 8 * CANDLE, 120.0, observation([1.0, 1.0, 1.0, -1.0]), 0)
    assert policy.weights[0] > policy.weights[3]


@pytest.mark.parametrize("split", [1, 7, 41, 90])
def test_a_memory_goes_on_to_the_bit_as_if_nothing_had_been_interrupted(split: int) -> None:
    whole = readers(CARDS)
    expected = play(whole, 120)
    first, second = readers(CARDS), readers(CARDS)
    before = play(first, split)
    second.restore(first.memory())
    assert before + play(second, 120 - split, split) == expected
    for name, array in whole.memory().items():
        np.testing.assert_array_equal(array, second.memory()[name])


def test_a_memory_is_a_copy_and_another_model_s_is_refused() -> None:
    policy = readers(CARDS)
    play(policy, 50)
    kept = policy.memory()
    play(policy, 50, 50)
    assert any((kept[name] != now).any() for name, now in policy.memory().items())
    with pytest.raises(ModelError, match="another model"):
        readers(CARDS[:2]).restore(kept)


def test_a_calibrated_member_says_the_same_of_a_move_and_of_staying_against_it() -> None:
    odds = Calibration(MoveOdds(-0.3, 0.8), MoveOdds(0.1, 0.4), 0.45, 0.0, (None,) * 5, 100.0)
    policy = readers([replace(CARDS[0], calibration=odds, lowest_weight=0.0)])
    certain = policy.decide("A", 0, 100.0, observation([1e-6]), 0).confidence
    against = policy.decide("A", CANDLE, 100.0, observation([-1e-6]), 0).confidence
    assert certain == pytest.approx(1.0 - against, abs=1e-5)


def test_a_candle_is_asked_about_once_and_in_the_order_of_time() -> None:
    policy = readers(CARDS)
    policy.decide("A", 5 * CANDLE, 100.0, observation([1.0] * 4), 0)
    for earlier in (5, 4):
        with pytest.raises(ModelError, match="later than"):
            policy.decide("A", earlier * CANDLE, 100.0, observation([1.0] * 4), 0)
    policy.decide("B", 4 * CANDLE, 100.0, observation([1.0] * 4), 0)


def after_a_pause(missing: int, horizon: int = 8) -> tuple[float, ...]:
    """Two members want to be in and two out; the price doubles over ``missing`` candles."""
    policy = readers([member_card(name, horizon) for name in PROFILES])
    seen = observation([1.0, 1.0, -1.0, -1.0])
    for candle in range(3):
        policy.decide("A", candle * CANDLE, 100.0, seen, 0)
    policy.decide("A", (3 + missing) * CANDLE, 200.0, seen, 0)
    return policy.weights


@pytest.mark.parametrize("missing", [5, 6, 8])
def test_a_vote_is_scored_where_its_horizon_ends_in_time_however_few_candles_came(
    missing: int,
) -> None:
    inside, _, outside, _ = after_a_pause(missing)
    assert inside > outside


@pytest.mark.parametrize("missing", [0, 1, 4, 9, 10_000])
def test_a_vote_is_not_scored_before_its_time_nor_across_an_outage_longer_than_its_horizon(
    missing: int,
) -> None:
    assert after_a_pause(missing) == pytest.approx((0.25,) * 4)


def test_votes_go_on_being_scored_behind_an_outage() -> None:
    seen = observation([1.0, 1.0, -1.0, -1.0])
    policies = [readers([member_card(name, 8) for name in PROFILES]) for _ in range(2)]
    for candle in range(5):
        policies[0].decide("A", candle * CANDLE, 100.0, seen, 0)
    weights = [
        [
            policy.decide("A", (1_000 + candle) * CANDLE, 1.01**candle, seen, 0).votes
            for candle in range(40)
        ]
        for policy in policies
    ]
    assert weights[0] == weights[1]
    assert policies[0].weights[0] > 0.26


def test_a_network_s_memory_is_a_new_one_behind_an_outage_longer_than_its_horizon() -> None:
    generator = np.random.default_rng(3)
    size, inputs = 4, 1 + len(PORTFOLIO_COLUMNS)

    def random(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return generator.normal(size=shape).astype(np.float32)

    def memory() -> LongMemory:
        return LongMemory(random(4 * size, inputs), random(4 * size, size), random(4 * size))

    heads = Network((Layer(random(2, size), random(2)),), (Layer(random(1, size), random(1)),))
    network = RecurrentNetwork(memory(), memory(), heads)
    member = Member(member_card("agent", 8), network, np.arange(inputs))

    def opened() -> EnsemblePolicy:
        return EnsemblePolicy("recurrent", (member,), RULES, inputs, CANDLE)

    def carried(policy: EnsemblePolicy, *candles: int) -> list[float]:
        for candle in candles:
            policy.decide("A", candle * CANDLE, 100.0, observation([0.3]), 0)
        found: list[float] = policy.memory()["carried:A"].tolist()
        return found

    fresh = carried(opened(), 0)
    assert carried(opened(), 0, 1, 10) == carried(opened(), 0, 1, 2)  # no longer than its horizon
    assert carried(opened(), 0, 1, 10) != fresh
    assert carried(opened(), 0, 1, 11) == fresh


def test_what_a_version_left_that_did_not_know_when_votes_were_cast_keeps_its_skills() -> None:
    policy, again = readers(CARDS), readers(CARDS)
    play(policy, 120)
    left = policy.memory()
    older = {
        "skill": left["skill"],
        "record:BTC/SIM": np.zeros((4, 17, 3)),
        "count:BTC/SIM": np.array([120]),
        "carried:BTC/SIM": left["carried:BTC/SIM"],
    }
    again.restore(older)
    assert again.weights == policy.weights
    play(again, 3)  # and goes on
