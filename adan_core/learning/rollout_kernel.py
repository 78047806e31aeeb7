"""A whole rollout of many copies in one compiled call: look, choose, step, and what cut-offs are worth.

Within a rollout the networks do not change and copies know nothing of each other, so batches of
them may play side by side; each copy's numbers are the same whoever else plays.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.learning.environment_kernel import advance, step_all
from adan_core.learning.environment_options import Batch, World
from adan_core.learning.inference import Layer
from adan_core.learning.network_kernel import Chain, answer, chained, scratch
from adan_core.learning.reward import COST_TERM, MARKET_TERM

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


class Actor(NamedTuple):
    """The networks as a rollout uses them; rooms are scratch, ``exposures`` (actions,) what is chosen."""

    policy: Chain
    value: Chain
    policy_room: Singles
    value_room: Singles
    exposures: Floats
    gamma: float


class Experience(NamedTuple):
    """What a rollout of n copies leaves behind, named and shaped as SB3's buffer has it.

    ``observations`` (steps, n, D), ``actions`` (steps, n, 1), the others (steps, n), all float32.
    """

    observations: Singles
    actions: Singles
    rewards: Singles
    episode_starts: Singles
    values: Singles
    log_probs: Singles


def actor_of(
    policy: tuple[Layer, ...], value: tuple[Layer, ...], exposures: Floats, gamma: float
) -> Actor:
    """Return what one batch plays with; each needs one of its own, for the scratch in it."""
    chosen, valued = chained(policy), chained(value)
    return Actor(chosen, valued, scratch(chosen), scratch(valued), exposures, gamma)


@compiled
def choose(logits: Singles, chance: float) -> tuple[int, float]:
    """Return the action at ``chance`` in [0, 1) of the probabilities' running sum, and its log."""
    highest = logits[0]
    for logit in logits:
        highest = max(highest, logit)
    total = 0.0
    for logit in logits:
        total += np.exp(float(logit - highest))
    chosen, reached = logits.shape[0] - 1, 0.0
    for action in range(logits.shape[0]):
        reached += np.exp(float(logits[action] - highest))
        if reached > chance * total:
            chosen = action
            break
    return chosen, float(logits[chosen] - highest) - np.log(total)


@compiled
def roll(
    actor: Actor,
    chances: Singles,
    episode_length: int,
    world: World,
    batch: Batch,
    experience: Experience,
    final: Singles,
) -> None:
    """Play ``chances.shape[0]`` steps of all copies of ``batch`` and write ``experience``.

    ``chances`` (steps, n) are uniform in [0, 1). A reward at which an episode was cut off gets the
    discounted value of what was seen there, as the episode would have gone on (Pardo et al. 2018).
    ``final`` (n,) is made the value of what is seen after the last step.
    """
    logits = np.empty(actor.exposures.shape[0], dtype=np.float32)
    value = np.empty(1, dtype=np.float32)
    seen = batch.copies.observations
    for step in range(chances.shape[0]):
        for copy in range(seen.shape[0]):
            for column in range(seen.shape[1]):
                experience.observations[step, copy, column] = seen[copy, column]
            answer(actor.policy, seen[copy], actor.policy_room, logits)
            action, log_probability = choose(logits, chances[step, copy])
            answer(actor.value, seen[copy], actor.value_room, value)
            experience.actions[step, copy, 0] = action
            experience.log_probs[step, copy] = log_probability
            experience.values[step, copy] = value[0]
            experience.episode_starts[step, copy] = 1.0 if batch.done[copy] else 0.0
            batch.targets[copy] = actor.exposures[action]
        ended = advance(episode_length, world, batch)
        for copy in range(seen.shape[0]):
            experience.rewards[step, copy] = batch.outcome.rewards[copy]
            if ended > 0 and batch.done[copy] and batch.outcome.truncated[copy]:
                answer(actor.value, batch.episodes.last[copy], actor.value_room, value)
                experience.rewards[step, copy] += np.float32(actor.gamma) * value[0]
    for copy in range(seen.shape[0]):
        answer(actor.value, seen[copy], actor.value_room, value)
        final[copy] = value[0]


@compiled
def tour(
    policy: Chain, room: Singles, exposures: Floats, steps: int, world: World, batch: Batch
) -> float:
    """Play the most probable action for so many ``steps``; return all copies' log-returns, summed."""
    logits = np.empty(exposures.shape[0], dtype=np.float32)
    seen, terms = batch.copies.observations, batch.outcome.terms
    total = 0.0
    for _ in range(steps):
        for copy in range(seen.shape[0]):
            answer(policy, seen[copy], room, logits)
            best = 0
            for action in range(1, logits.shape[0]):
                if logits[action] > logits[best]:
                    best = action
            batch.targets[copy] = exposures[best]
        step_all(
            batch.targets,
            batch.unsaid,
            batch.unsaid,
            batch.everybody,
            world,
            batch.copies,
            batch.outcome,
        )
        for copy in range(seen.shape[0]):
            total += terms[copy, MARKET_TERM] + terms[copy, COST_TERM]
    return total
