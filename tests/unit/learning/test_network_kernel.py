"""The compiled forward pass is numpy's, whatever the layers; choosing follows the probabilities."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.learning.inference import Layer, forward, probabilities
from adan_core.learning.network_kernel import answer, chained, scratch, squash
from adan_core.learning.rollout_kernel import choose


def layers(sizes: list[int], seed: int, scale: float) -> tuple[Layer, ...]:
    random = np.random.default_rng(seed)
    return tuple(
        Layer(
            random.normal(0.0, scale, (after, before)).astype(np.float32),
            random.normal(0.0, scale, after).astype(np.float32),
        )
        for before, after in pairwise(sizes)
    )


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=2),
    hidden=st.integers(1, 70),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.01, 3.0),
)
def test_the_compiled_pass_is_the_deciding_one(
    sizes: list[int], hidden: int, seed: int, scale: float
) -> None:
    network = layers([sizes[0], hidden, hidden, sizes[1]], seed, scale)
    inputs = np.random.default_rng(seed).normal(0.0, 2.0, sizes[0]).astype(np.float32)
    chain, out = chained(network), np.empty(sizes[1], dtype=np.float32)
    answer(chain, inputs, scratch(chain), out)
    expected = forward(network, inputs)
    room = 1e-5 * (1.0 + scale * hidden * scale)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=room)


def test_the_compiled_tangent_is_within_its_stated_error() -> None:
    values = np.concatenate(
        [np.linspace(-12.0, 12.0, 200_001), [0.0, -np.inf, np.inf, 1e-30]]
    ).astype(np.float32)
    exact = np.tanh(values.astype(np.float64))
    squash(values, len(values))
    assert np.abs(values - exact).max() < 4e-7
    assert np.abs(values).max() <= 1.0


@given(
    logits=st.lists(st.floats(-50.0, 50.0, width=32), min_size=2, max_size=6),
    chance=st.floats(0.0, 1.0, exclude_max=True),
)
def test_the_chosen_action_is_where_the_running_sum_passes_the_chance(
    logits: list[float], chance: float
) -> None:
    given_logits = np.array(logits, dtype=np.float32)
    shares = probabilities(given_logits)
    action, log_probability = choose(given_logits, chance)
    reached = np.cumsum(shares)
    assert reached[action] > chance - 1e-6
    assert action == 0 or reached[action - 1] <= chance + 1e-6
    assert log_probability == pytest.approx(np.log(shares[action]), abs=1e-5)
