"""A trained network as plain arrays: its forward pass without torch, the same in every mode."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import ModelError

Weights = Mapping[str, NDArray[np.float32]]

REWARD_SCALE: Final = 100.0
"""The learner's rewards are log-returns times this; the value head learns on the same scale."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One affine layer: ``weight`` (outputs, inputs) and ``bias`` (outputs,), float32."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Network:
    """Policy and value networks with tanh between their layers, as SB3's MlpPolicy builds them."""

    policy: tuple[Layer, ...]
    value: tuple[Layer, ...]

    @classmethod
    def from_weights(cls, weights: Weights) -> "Network":
        """Read the parameters under SB3's own names; ModelError if one is missing or misshapen."""
        policy = stacked(weights, "mlp_extractor.policy_net", "action_net")
        value = stacked(weights, "mlp_extractor.value_net", "value_net")
        expected = 2 * (len(policy) + len(value))
        if len(weights) != expected:
            raise ModelError(
                f"{len(weights)} parameters",
                f"{expected}, those of two plain networks",
                "train the model again with this version",
            )
        if policy[0].weight.shape[1] != value[0].weight.shape[1] or value[-1].bias.shape != (1,):
            raise ModelError("policy and value networks that do not belong together", "one model's")
        return cls(policy, value)

    @property
    def inputs(self) -> int:
        """Length of the observation the network was made for."""
        return int(self.policy[0].weight.shape[1])

    @property
    def actions(self) -> int:
        """How many actions the network chooses between."""
        return int(self.policy[-1].bias.shape[0])

    @property
    def memory_size(self) -> int:
        """It carries nothing."""
        return 0

    def act(
        self, observations: NDArray[np.float32], memory: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the policy's logits (n, actions); there is no memory."""
        return self.logits(observations), memory

    def value_of(
        self, observations: NDArray[np.float32], _memory: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the value head's estimates (n,), on the learner's reward scale."""
        return self.values(observations)

    def logits(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the policy's logits, shape (..., actions), for observations (..., inputs)."""
        return forward(self.policy, observations)

    def values(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the value head's estimates, shape (...), on the learner's reward scale."""
        return forward(self.value, observations)[..., 0]


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the softmax of ``logits`` over the last axis; each row sums to 1."""
    shifted = logits.astype(np.float64) - np.max(logits, axis=-1, keepdims=True)
    exponential = np.exp(shifted)
    total: NDArray[np.float64] = exponential / np.sum(exponential, axis=-1, keepdims=True)
    return total


def stacked(weights: Weights, body: str, head: str) -> tuple[Layer, ...]:
    """Return the layers numbered under ``body``, then ``head``; ModelError if they do not fit."""
    return chain_of((*layers_of(weights, body), layer_of(weights, head)), body)


def layers_of(weights: Weights, body: str) -> tuple[Layer, ...]:
    """Return the layers numbered under ``body``, activations counted; ModelError if they do not fit."""
    layers: list[Layer] = []
    while f"{body}.{2 * len(layers)}.weight" in weights:
        layers.append(layer_of(weights, f"{body}.{2 * len(layers)}"))
    return chain_of(tuple(layers), body)


def chain_of(layers: tuple[Layer, ...], body: str) -> tuple[Layer, ...]:
    """Return ``layers``; ModelError unless each takes what the one before it gives."""
    for below, above in pairwise(layers):
        if above.weight.shape[1] != below.weight.shape[0]:
            raise ModelError(f"layers of {body} that do not fit each other", "a chain of layers")
    return layers


def layer_of(weights: Weights, name: str) -> Layer:
    """Return the layer called ``name``; ModelError if it is missing, misshapen or not finite."""
    try:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    except KeyError as error:
        raise ModelError(f"no parameter {error.args[0]} among the weights", "every layer") from None
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or weight.dtype != np.float32:
        raise ModelError(f"layer {name} of shape {weight.shape}", "a float32 matrix and its bias")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ModelError(f"layer {name} holds numbers that are not finite", "finite weights")
    return Layer(np.ascontiguousarray(weight), np.ascontiguousarray(bias))


def forward(layers: tuple[Layer, ...], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the last layer's answers (..., outputs), with tanh between the layers."""
    hidden = inputs
    for layer in layers[:-1]:
        hidden = np.tanh(hidden @ layer.weight.T + layer.bias)
    last = layers[-1]
    result: NDArray[np.float32] = hidden @ last.weight.T + last.bias
    return result
