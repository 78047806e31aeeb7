"""PPO's loss over a minibatch and its gradient, by what the networks said; theirs is torch's to take.

The clipped surrogate of Schulman et al. 2017 (equations 7 and 9) as Stable-Baselines3 computes it:
advantages normalised per minibatch, mean squared error of the values, entropy bonus. In one pass
rather than some forty operations on tensors and their derivatives.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FIGURES: Final = (
    "entropy_loss",
    "policy_gradient_loss",
    "value_loss",
    "approx_kl",
    "clip_fraction",
    "loss",
)
"""What SB3 records of an update, in the order in which ``ppo_loss`` writes it."""
_TINY: Final = 1e-8


class Rollout(NamedTuple):
    """What was done and what came of it, each (n,), float32."""

    actions: Singles
    log_probs: Singles
    advantages: Singles
    returns: Singles


class Weights(NamedTuple):
    """``clip`` is how far a probability's ratio may go from 1, the others weigh terms of the loss."""

    clip: float
    entropy: float
    value: float


@compiled
def ppo_loss(
    logits: Singles,
    values: Singles,
    places: Integers,
    rollout: Rollout,
    weights: Weights,
    of_logits: Singles,
    of_values: Singles,
    figures: Floats,
) -> None:
    """Write the loss's gradients by ``logits`` (m, actions) and ``values`` (m, 1), and its figures.

    ``places`` (m,) are the minibatch's places in ``rollout``; ``of_logits`` and ``of_values`` have
    the shapes of what they are gradients of, ``figures`` is (``FIGURES``,).
    """
    count, choices = logits.shape
    mean = 0.0
    for place in places:
        mean += rollout.advantages[place]
    mean /= count
    squares = 0.0
    for place in places:
        squares += (rollout.advantages[place] - mean) ** 2
    # One sample has no spread; it is then taken as it is.
    scale = 1.0 / (np.sqrt(squares / (count - 1)) + _TINY) if count > 1 else 1.0
    shift = mean if count > 1 else 0.0
    figures[:] = 0.0
    shares = np.empty(choices)
    for row in range(count):
        place = places[row]
        highest = logits[row, 0]
        for choice in range(1, choices):
            highest = max(highest, logits[row, choice])
        total = 0.0
        for choice in range(choices):
            shares[choice] = np.exp(float(logits[row, choice] - highest))
            total += shares[choice]
        normaliser = np.log(total)
        entropy = 0.0
        for choice in range(choices):
            shares[choice] /= total
            entropy -= shares[choice] * (float(logits[row, choice] - highest) - normaliser)
        action = int(rollout.actions[place])
        log_ratio = (
            float(logits[row, action] - highest) - normaliser - float(rollout.log_probs[place])
        )
        ratio = np.exp(log_ratio)
        advantage = (rollout.advantages[place] - shift) * scale
        free = advantage * ratio
        bound = advantage * min(max(ratio, 1.0 - weights.clip), 1.0 + weights.clip)
        # Where the bound is the smaller of the two, nothing is gained by going further.
        pull = -free / count if free <= bound else 0.0
        for choice in range(choices):
            log_share = float(logits[row, choice] - highest) - normaliser
            gradient = -pull * shares[choice]
            gradient += weights.entropy / count * shares[choice] * (log_share + entropy)
            if choice == action:
                gradient += pull
            of_logits[row, choice] = np.float32(gradient)
        error = float(values[row, 0]) - float(rollout.returns[place])
        of_values[row, 0] = np.float32(2.0 * weights.value / count * error)
        figures[0] -= entropy
        figures[1] -= min(free, bound)
        figures[2] += error * error
        figures[3] += (ratio - 1.0) - log_ratio
        figures[4] += 1.0 if abs(ratio - 1.0) > weights.clip else 0.0
    for figure in range(figures.shape[0] - 1):
        figures[figure] /= count
    figures[5] = figures[1] + weights.entropy * figures[0] + weights.value * figures[2]
