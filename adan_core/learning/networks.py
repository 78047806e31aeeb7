"""What each algorithm learns, as plain arrays: every network answers in the same way, without torch.

Parameters have the names that Stable-Baselines3 and its contrib package give them. A network with a
memory carries it from candle to candle; one without has a memory of length 0. Whatever an algorithm
learns, its answer is a preference per exposure, so that voting and calibration know one thing only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import ModelError
from adan_core.learning.inference import Layer, Network, Weights, forward, layer_of, layers_of

Singles = NDArray[np.float32]

ALGORITHMS: Final = ("PPO", "A2C", "RecurrentPPO", "QRDQN", "SAC")
CONTINUOUS: Final = frozenset({"SAC"})
"""Algorithms that choose among all exposures at once; the others choose one of a few."""

# A squashed Gaussian surer than this says nothing more: its logarithms would overflow.
_LEAST_DEVIATION: Final = 1e-3


class DecisionNetwork(Protocol):
    """A trained network: preferences now, and what is expected to come."""

    @property
    def inputs(self) -> int:
        """Length of the observation it was made for."""
        ...

    @property
    def actions(self) -> int:
        """How many exposures it chooses between."""
        ...

    @property
    def memory_size(self) -> int:
        """Length of what it carries from one observation to the next; 0 for nothing."""
        ...

    def act(self, observations: Singles, memory: Singles) -> tuple[Singles, Singles]:
        """Return logits (n, actions) and the memory afterwards (n, memory_size)."""
        ...

    def value_of(self, observations: Singles, memory: Singles, /) -> Singles:
        """Return the expected discounted reward (n,); ``memory`` is what ``act`` returned."""
        ...


@dataclass(frozen=True, slots=True)
class LongMemory:
    """One layer of long short-term memory (Hochreiter & Schmidhuber 1997), gates as torch orders them.

    ``inner`` (4 h, inputs) and ``own`` (4 h, h) are its matrices, ``bias`` (4 h,) the sum of its two.
    """

    inner: Singles
    own: Singles
    bias: Singles

    @property
    def size(self) -> int:
        """How many cells it has."""
        return int(self.own.shape[1])

    def step(self, inputs: Singles, hidden: Singles, cell: Singles) -> tuple[Singles, Singles]:
        """Return hidden and cell state, each (n, h), after one more observation (n, inputs)."""
        gates = inputs @ self.inner.T + hidden @ self.own.T + self.bias
        entering, keeping, candidate, showing = np.split(gates, 4, axis=-1)
        cell = _sigmoid(keeping) * cell + _sigmoid(entering) * np.tanh(candidate)
        return _sigmoid(showing) * np.tanh(cell), cell


@dataclass(frozen=True, slots=True)
class RecurrentNetwork:
    """RecurrentPPO: a memory of its own below the policy and one below the value network."""

    actor: LongMemory
    critic: LongMemory
    heads: Network

    @classmethod
    def from_weights(cls, weights: Weights) -> "RecurrentNetwork":
        """Read the parameters; ModelError if one is missing or does not fit."""
        plain = {name: values for name, values in weights.items() if "lstm" not in name}
        actor, critic = _long_memory(weights, "lstm_actor"), _long_memory(weights, "lstm_critic")
        heads = Network.from_weights(plain)
        if (
            len(weights) != len(plain) + 8
            or heads.inputs != actor.size
            or critic.size != actor.size
        ):
            raise ModelError("memories that do not fit their networks", "one model's parameters")
        return cls(actor, critic, heads)

    @property
    def inputs(self) -> int:
        """Length of the observation it was made for."""
        return int(self.actor.inner.shape[1])

    @property
    def actions(self) -> int:
        """How many exposures it chooses between."""
        return self.heads.actions

    @property
    def memory_size(self) -> int:
        """Hidden and cell state of both memories."""
        return 4 * self.actor.size

    def act(self, observations: Singles, memory: Singles) -> tuple[Singles, Singles]:
        """Return logits (n, actions) and the memory afterwards (n, memory_size)."""
        states = np.split(memory, 4, axis=-1)
        actor = self.actor.step(observations, states[0], states[1])
        critic = self.critic.step(observations, states[2], states[3])
        return forward(self.heads.policy, actor[0]), np.concatenate((*actor, *critic), axis=-1)

    def value_of(self, _observations: Singles, memory: Singles) -> Singles:
        """Return the expected discounted reward (n,)."""
        hidden = np.split(memory, 4, axis=-1)[2]
        answer: Singles = forward(self.heads.value, hidden)[..., 0]
        return answer


@dataclass(frozen=True, slots=True)
class QuantileNetwork:
    """QRDQN: quantiles of the return of each exposure; their mean is what it is worth."""

    layers: tuple[Layer, ...]
    actions: int

    @classmethod
    def from_weights(cls, weights: Weights, actions: int) -> "QuantileNetwork":
        """Read the parameters of the network that acts; ModelError if one is missing or misshapen."""
        layers = layers_of(weights, "quantile_net.quantile_net")
        if len(weights) != 2 * len(layers) or len(layers[-1].bias) % actions:
            raise ModelError(f"{len(weights)} parameters", "those of one network of quantiles")
        return cls(layers, actions)

    @property
    def inputs(self) -> int:
        """Length of the observation it was made for."""
        return int(self.layers[0].weight.shape[1])

    @property
    def memory_size(self) -> int:
        """It carries nothing."""
        return 0

    def act(self, observations: Singles, memory: Singles) -> tuple[Singles, Singles]:
        """Return the worth of each exposure (n, actions), which orders them as logits do."""
        return self._worth(observations), memory

    def value_of(self, observations: Singles, _memory: Singles) -> Singles:
        """Return the expected discounted reward of the best exposure (n,)."""
        best: Singles = self._worth(observations).max(axis=-1)
        return best

    def _worth(self, observations: Singles) -> Singles:
        # Quantiles come first in the order of the outputs, exposures second.
        quantiles = forward(self.layers, observations)
        shaped = quantiles.reshape(*quantiles.shape[:-1], -1, self.actions)
        worth: Singles = shaped.mean(axis=-2)
        return worth


@dataclass(frozen=True, slots=True)
class SquashedGaussianNetwork:
    """SAC: a normal distribution over one action, squashed by tanh into (-1, 1).

    ``levels`` (actions,) are the squashed actions that stand for the exposures it may choose; their
    logits are the densities there, so that the nearest to its mean is preferred.
    """

    body: tuple[Layer, ...]
    mean: Layer
    log_deviation: Layer
    critics: tuple[tuple[Layer, ...], ...]
    levels: Singles

    @classmethod
    def from_weights(cls, weights: Weights, levels: Sequence[float]) -> "SquashedGaussianNetwork":
        """Read the actor's and the critics' parameters; ModelError if one is missing."""
        body = layers_of(weights, "actor.latent_pi")
        mean, log_deviation = layer_of(weights, "actor.mu"), layer_of(weights, "actor.log_std")
        critics = tuple(layers_of(weights, f"critic.qf{place}") for place in range(2))
        expected = 2 * (len(body) + 2 + sum(len(critic) for critic in critics))
        if len(weights) != expected:
            raise ModelError(
                f"{len(weights)} parameters", f"{expected}, an actor's and two critics'"
            )
        return cls(body, mean, log_deviation, critics, np.array(levels, dtype=np.float32))

    @property
    def inputs(self) -> int:
        """Length of the observation it was made for."""
        return int(self.body[0].weight.shape[1])

    @property
    def actions(self) -> int:
        """How many exposures it chooses between."""
        return len(self.levels)

    @property
    def memory_size(self) -> int:
        """It carries nothing."""
        return 0

    def act(self, observations: Singles, memory: Singles) -> tuple[Singles, Singles]:
        """Return how near each exposure is to what it wants, in its own deviations (n, actions)."""
        mean, deviation = self._distribution(observations)
        middle = np.tanh(mean)
        # The spread of the squashed action about its middle, to first order.
        spread = np.maximum(deviation * (1.0 - middle**2), np.float32(_LEAST_DEVIATION))
        distance = (self.levels - middle) / spread
        return (-0.5 * distance**2).astype(np.float32), memory

    def value_of(self, observations: Singles, _memory: Singles) -> Singles:
        """Return the smaller of the critics' answers for what it wants (n,)."""
        mean, _ = self._distribution(observations)
        asked = np.concatenate((observations, np.tanh(mean)), axis=-1)
        answers = [forward(critic, asked)[..., 0] for critic in self.critics]
        least: Singles = np.minimum(*answers)
        return least

    def _distribution(self, observations: Singles) -> tuple[Singles, Singles]:
        hidden = np.tanh(forward(self.body, observations))
        mean: Singles = hidden @ self.mean.weight.T + self.mean.bias
        # SB3 keeps the logarithm within the same bounds.
        log = np.clip(hidden @ self.log_deviation.weight.T + self.log_deviation.bias, -20.0, 2.0)
        return mean, np.exp(log).astype(np.float32)


def network_from(algorithm: str, weights: Weights, levels: Sequence[float]) -> DecisionNetwork:
    """Return what ``algorithm`` learnt, ready to answer; ``levels`` are its actions, one per exposure.

    ModelError for an algorithm nobody knows and for parameters that are not its own.
    """
    match algorithm:
        case "PPO" | "A2C":
            network: DecisionNetwork = Network.from_weights(weights)
        case "RecurrentPPO":
            network = RecurrentNetwork.from_weights(weights)
        case "QRDQN":
            network = QuantileNetwork.from_weights(weights, len(levels))
        case "SAC":
            network = SquashedGaussianNetwork.from_weights(weights, levels)
        case _:
            raise ModelError(f"algorithm {algorithm}", f"one of {', '.join(ALGORITHMS)}")
    if network.actions != len(levels):
        raise ModelError(f"a network with {network.actions} actions", f"{len(levels)} exposures")
    return network


def _long_memory(weights: Weights, name: str) -> LongMemory:
    try:
        inner, own = weights[f"{name}.weight_ih_l0"], weights[f"{name}.weight_hh_l0"]
        bias = weights[f"{name}.bias_ih_l0"] + weights[f"{name}.bias_hh_l0"]
    except KeyError as error:
        raise ModelError(f"no parameter {error.args[0]} among the weights", "all of them") from None
    size = own.shape[-1]
    fits = (
        inner.ndim == own.ndim == 2
        and own.shape == (4 * size, size)
        and inner.shape[0] == 4 * size
        and bias.shape == (4 * size,)
        and inner.dtype == own.dtype == bias.dtype == np.float32
    )
    if not fits or not all(np.isfinite(one).all() for one in (inner, own, bias)):
        raise ModelError(f"memory {name} of another form", "finite float32 matrices of four gates")
    return LongMemory(inner, own, bias)


def _sigmoid(values: Singles) -> Singles:
    result: Singles = 0.5 * (1.0 + np.tanh(0.5 * values))
    return result
