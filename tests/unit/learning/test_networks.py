"""Networks without torch answer as the libraries' own do, for every algorithm."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sb3_contrib import QRDQN, RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv

from adan_core.domain.errors import ModelError
from adan_core.learning.networks import ALGORITHMS, network_from

INPUTS, ACTIONS = 7, 3
LEVELS = (-1.0, 0.0, 1.0)


def _kwargs() -> dict[str, Any]:
    # The libraries write into what they are given.
    return {"net_arch": [12, 12], "activation_fn": torch.nn.Tanh}


class _Nothing(gymnasium.Env[NDArray[np.float32], Any]):
    def __init__(self, *, continuous: bool) -> None:
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (INPUTS,), np.float32)
        self.action_space = (
            gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
            if continuous
            else gymnasium.spaces.Discrete(ACTIONS)
        )


def learner(algorithm: str) -> Any:  # noqa: ANN401 - five classes with nothing in common
    venv = DummyVecEnv([lambda: _Nothing(continuous=algorithm == "SAC")])
    common: dict[str, Any] = {"seed": 3, "device": "cpu"}
    match algorithm:
        case "RecurrentPPO":
            kwargs = _kwargs() | {"lstm_hidden_size": 10}
            return RecurrentPPO("MlpLstmPolicy", venv, policy_kwargs=kwargs, **common)
        case "QRDQN":
            return QRDQN("MlpPolicy", venv, policy_kwargs=_kwargs(), buffer_size=10, **common)
        case "SAC":
            return SAC("MlpPolicy", venv, policy_kwargs=_kwargs(), buffer_size=10, **common)
        case "A2C":
            return A2C("MlpPolicy", venv, policy_kwargs=_kwargs(), **common)
        case _:
            return PPO("MlpPolicy", venv, policy_kwargs=_kwargs(), **common)


def weights(agent: Any) -> dict[str, NDArray[np.float32]]:  # noqa: ANN401
    return {
        name: tensor.numpy().copy()
        for name, tensor in agent.policy.state_dict().items()
        if "target" not in name
    }


@pytest.fixture(scope="module")
def seen() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(5, INPUTS)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "QRDQN", "SAC"])
def test_a_network_prefers_what_the_learner_would_do(
    algorithm: str, seen: NDArray[np.float32]
) -> None:
    agent = learner(algorithm)
    network = network_from(algorithm, weights(agent), LEVELS)
    logits, _ = network.act(seen, np.zeros((len(seen), network.memory_size), np.float32))
    actions, _ = agent.predict(seen, deterministic=True)
    nearest = np.abs(actions.reshape(-1, 1) - np.array(LEVELS)).argmin(axis=-1)
    wanted = nearest if algorithm == "SAC" else actions
    assert logits.argmax(axis=-1).tolist() == wanted.tolist()


@pytest.mark.slow
def test_values_are_the_learners_own(seen: NDArray[np.float32]) -> None:
    tensor = torch.from_numpy(seen)
    none = np.zeros((len(seen), 0), np.float32)
    with torch.no_grad():
        for algorithm in ("PPO", "A2C"):
            agent = learner(algorithm)
            own = network_from(algorithm, weights(agent), LEVELS).value_of(seen, none)
            np.testing.assert_allclose(
                own, agent.policy.predict_values(tensor)[:, 0], rtol=1e-5, atol=1e-6
            )
        agent = learner("QRDQN")
        own = network_from("QRDQN", weights(agent), LEVELS).value_of(seen, none)
        worth = agent.policy.quantile_net(tensor).mean(dim=1).max(dim=1).values
        np.testing.assert_allclose(own, worth, rtol=1e-5, atol=1e-6)
        agent = learner("SAC")
        own = network_from("SAC", weights(agent), LEVELS).value_of(seen, none)
        best = agent.policy.actor(tensor, deterministic=True)
        answers = torch.cat(agent.policy.critic(tensor, best), dim=1).min(dim=1).values
        np.testing.assert_allclose(own, answers, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_recurrent_network_carries_what_the_learner_carries(seen: NDArray[np.float32]) -> None:
    agent = learner("RecurrentPPO")
    network = network_from("RecurrentPPO", weights(agent), LEVELS)
    memory = np.zeros((1, network.memory_size), np.float32)
    zero = torch.zeros(1, 1, 10)
    states = RNNStates((zero, zero), (zero, zero))
    going_on = torch.zeros(1)
    for row in seen:
        logits, memory = network.act(row[None], memory)
        with torch.no_grad():
            tensor = torch.from_numpy(row[None])
            distribution, pi = agent.policy.get_distribution(tensor, states.pi, going_on)
            value = agent.policy.predict_values(tensor, states.vf, going_on)
            _, vf = agent.policy._process_sequence(
                tensor, states.vf, going_on, agent.policy.lstm_critic
            )
        states = RNNStates(pi, vf)
        own = logits - np.log(np.exp(logits).sum())
        np.testing.assert_allclose(own, distribution.distribution.logits, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            network.value_of(row[None], memory), value[:, 0], rtol=1e-5, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_weights_that_lack_one_are_refused(algorithm: str) -> None:
    own = weights(learner(algorithm))
    for missing in sorted(own):
        with pytest.raises(ModelError):
            network_from(algorithm, {name: own[name] for name in own if name != missing}, LEVELS)


def test_an_algorithm_nobody_knows_is_named() -> None:
    with pytest.raises(ModelError, match="DQN"):
        network_from("DQN", {}, LEVELS)
