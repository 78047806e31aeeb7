"""The loss and its gradient in compiled code are those that torch derives from PPO's formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adan_core.learning.ppo_kernel import FIGURES, Rollout, Weights, ppo_loss

pytestmark = pytest.mark.slow


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 40),
    choices=st.integers(2, 5),
    clip=st.floats(0.05, 0.5),
    entropy=st.floats(0.0, 0.1),
    value=st.floats(0.0, 1.0),
    spread=st.floats(0.01, 3.0),
)
@settings(deadline=None)
def test_the_gradient_is_that_of_the_formula(
    seed: int,
    count: int,
    choices: int,
    clip: float,
    entropy: float,
    value: float,
    spread: float,
) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0.0, spread, (count, choices)).astype(np.float32)
    values = random.normal(0.0, 1.0, (count, 1)).astype(np.float32)
    rollout = Rollout(
        random.integers(0, choices, 2 * count).astype(np.float32),
        np.log(random.uniform(0.05, 0.95, 2 * count)).astype(np.float32),
        random.normal(0.1, 2.0, 2 * count).astype(np.float32),
        random.normal(0.0, 1.0, 2 * count).astype(np.float32),
    )
    places = random.permutation(2 * count)[:count]
    of_logits, of_values = np.empty_like(logits), np.empty_like(values)
    figures = np.empty(len(FIGURES))
    weights = Weights(clip, entropy, value)
    ppo_loss(logits, values, places, rollout, weights, of_logits, of_values, figures)

    said = torch.from_numpy(logits).double().requires_grad_()
    valued = torch.from_numpy(values).double().requires_grad_()
    actions, old, advantages, returns = (torch.from_numpy(one[places]).double() for one in rollout)
    if count > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    chosen = torch.distributions.Categorical(logits=said)
    log_ratio = chosen.log_prob(actions) - old  # type: ignore[no-untyped-call]
    ratio = log_ratio.exp()
    bound = ratio.clamp(1.0 - clip, 1.0 + clip)
    gained = -torch.min(advantages * ratio, advantages * bound).mean()
    missed = torch.nn.functional.mse_loss(valued[:, 0], returns)
    surprise = -chosen.entropy().mean()  # type: ignore[no-untyped-call]
    loss = gained + entropy * surprise + value * missed
    loss.backward()
    assert said.grad is not None
    assert valued.grad is not None
    np.testing.assert_allclose(of_logits, said.grad, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(of_values, valued.grad, atol=1e-5, rtol=1e-4)
    found = dict(zip(FIGURES, figures, strict=True))
    assert found["loss"] == pytest.approx(loss.item(), abs=1e-4, rel=1e-4)
    assert found["entropy_loss"] == pytest.approx(surprise.item(), abs=1e-5, rel=1e-4)
    assert found["policy_gradient_loss"] == pytest.approx(gained.item(), abs=1e-4, rel=1e-4)
    assert found["value_loss"] == pytest.approx(missed.item(), abs=1e-5, rel=1e-4)
    drift = ((ratio - 1.0) - log_ratio).mean().item()
    assert found["approx_kl"] == pytest.approx(drift, abs=1e-5, rel=1e-4)
    assert found["clip_fraction"] == ((ratio - 1.0).abs() > clip).double().mean().item()
