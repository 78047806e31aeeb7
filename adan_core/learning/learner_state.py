"""A learner's whole state as plain arrays and back: resumed there, it ends in the same bits."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from adan_core.domain.errors import ModelError

Arrays = dict[str, NDArray[Any]]

_COUNTERS: Final = ("num_timesteps", "_n_updates", "_n_calls", "_episode_num")
_REPLAYED: Final = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
_WORD = (1 << 64) - 1


def deciding_weights(learner: BaseAlgorithm) -> dict[str, NDArray[np.float32]]:
    """Return copies of the parameters that decide, by the library's names.

    Networks that only steady the learning are left out.
    """
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in learner.policy.state_dict().items()
        if "_target." not in name
    }


def learner_arrays(learner: BaseAlgorithm) -> Arrays:
    """Return copies of everything the next update depends on, but for the environment.

    Networks, optimisers' moments, every generator of chance, what the copies last saw and carried,
    the experience that is replayed.
    """
    arrays: Arrays = {
        f"policy.{name}": tensor.detach().cpu().numpy().copy()
        for name, tensor in learner.policy.state_dict().items()
    }
    for prefix, optimiser in _optimisers(learner):
        for index, moments in optimiser.state_dict()["state"].items():
            for name, value in moments.items():
                arrays[f"{prefix}{index}.{name}"] = value.detach().cpu().numpy().copy()
    arrays["torch_generator"] = torch.get_rng_state().numpy().copy()
    if learner.device.type == "cuda":
        arrays["cuda_generator"] = torch.cuda.get_rng_state().numpy().copy()
    arrays |= _numpy_generator()
    arrays["action_generator"] = _generator_words(learner)
    observations, starts = _last_seen(learner)
    arrays["last_observations"] = observations.copy()
    arrays["last_starts"] = starts.astype(np.bool_)
    arrays["counters"] = np.array([getattr(learner, name, 0) for name in _COUNTERS], dtype=np.int64)
    if isinstance(learner, RecurrentPPO):
        for place, tensor in enumerate(_carried(learner)):
            arrays[f"carried.{place}"] = tensor.detach().cpu().numpy().copy()
    if isinstance(learner, OffPolicyAlgorithm):
        arrays |= _replayed(learner)
    if isinstance(learner, SAC) and learner.log_ent_coef is not None:
        arrays["entropy"] = learner.log_ent_coef.detach().cpu().numpy().copy()
    return arrays


def restore_learner(learner: BaseAlgorithm, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put ``learner`` back where ``learner_arrays`` found it; ModelError if the arrays do not fit."""
    try:
        _restore(learner, arrays)
    except (AttributeError, KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"a checkpoint that does not fit this learner: {error}", "one of the same settings"
        ) from error


def _restore(learner: BaseAlgorithm, arrays: Mapping[str, NDArray[Any]]) -> None:
    learner.policy.load_state_dict(
        {
            name.removeprefix("policy."): torch.from_numpy(values.copy())
            for name, values in arrays.items()
            if name.startswith("policy.")
        }
    )
    for prefix, optimiser in _optimisers(learner):
        state = optimiser.state_dict()
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, values in arrays.items():
            if name.startswith(prefix):
                index, _, moment = name.removeprefix(prefix).partition(".")
                moments.setdefault(int(index), {})[moment] = torch.from_numpy(values.copy())
        state["state"] = moments
        optimiser.load_state_dict(state)
    torch.set_rng_state(torch.from_numpy(arrays["torch_generator"].copy()))
    if learner.device.type == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda_generator"].copy()))
    position, has_gauss = arrays["numpy_position"].tolist()
    # SB3 shuffles and samples with numpy's global generator; there is no other handle on it.
    np.random.set_state(
        ("MT19937", arrays["numpy_generator"], position, has_gauss, arrays["numpy_gauss"][0])
    )
    _set_generator(learner, arrays["action_generator"])
    learner._last_obs = arrays["last_observations"].copy()
    learner._last_episode_starts = arrays["last_starts"].copy()
    for name, value in zip(_COUNTERS, arrays["counters"].tolist(), strict=True):
        if hasattr(learner, name):
            setattr(learner, name, value)
    if isinstance(learner, RecurrentPPO):
        carried = [torch.from_numpy(arrays[f"carried.{place}"].copy()) for place in range(4)]
        memories = RNNStates((carried[0], carried[1]), (carried[2], carried[3]))
        learner._last_lstm_states = memories  # type: ignore[assignment]  # declared as None alone
    if isinstance(learner, OffPolicyAlgorithm):
        _refill(learner, arrays)
    if isinstance(learner, SAC) and learner.log_ent_coef is not None:
        learner.log_ent_coef.data.copy_(torch.from_numpy(arrays["entropy"].copy()))


def _optimisers(learner: BaseAlgorithm) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    """Yield each optimiser and the prefix its arrays have."""
    if isinstance(learner, SAC):
        yield "optimiser.actor.", learner.actor.optimizer
        yield "optimiser.critic.", learner.critic.optimizer
        if learner.ent_coef_optimizer is not None:
            yield "optimiser.entropy.", learner.ent_coef_optimizer
    else:
        yield "optimiser.policy.", learner.policy.optimizer


def _numpy_generator() -> Arrays:
    state = np.random.get_state(legacy=True)
    if isinstance(state, dict):
        raise ModelError("numpy's generator in a form nobody asked for", "its legacy tuple")
    _, keys, position, has_gauss, gauss = state
    return {
        "numpy_generator": keys.copy(),
        "numpy_position": np.array([position, has_gauss], dtype=np.int64),
        "numpy_gauss": np.array([gauss], dtype=np.float64),
    }


def _generator_words(learner: BaseAlgorithm) -> NDArray[np.uint64]:
    """Return the state of the generator that random actions come from (PCG64), in six words."""
    state = learner.action_space.np_random.bit_generator.state
    inner = state["state"]
    words = [
        *(value >> shift & _WORD for value in (inner["state"], inner["inc"]) for shift in (0, 64)),
        state["has_uint32"],
        state["uinteger"],
    ]
    return np.array(words, dtype=np.uint64)


def _set_generator(learner: BaseAlgorithm, words: NDArray[np.uint64]) -> None:
    low, high, added_low, added_high, has_half, half = (int(word) for word in words)
    learner.action_space.np_random.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": added_high << 64 | added_low},
        "has_uint32": has_half,
        "uinteger": half,
    }


def _last_seen(learner: BaseAlgorithm) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    observations, starts = learner._last_obs, learner._last_episode_starts
    if not isinstance(observations, np.ndarray) or starts is None:
        raise ModelError(
            "a learner that has not seen its environment", "one that has begun to learn"
        )
    return observations, starts


def _carried(learner: RecurrentPPO) -> tuple[torch.Tensor, ...]:
    states = learner._last_lstm_states
    if states is None:
        raise ModelError("a recurrent learner without a memory", "one that has begun to learn")
    return (*states.pi, *states.vf)


def _replayed(learner: OffPolicyAlgorithm) -> Arrays:
    buffer = learner.replay_buffer
    if buffer is None:
        raise ModelError("a learner without experience", "one that has begun to learn")
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays: Arrays = {f"replay.{name}": getattr(buffer, name)[:filled].copy() for name in _REPLAYED}
    arrays["replay.place"] = np.array([buffer.pos, buffer.full], dtype=np.int64)
    return arrays


def _refill(learner: OffPolicyAlgorithm, arrays: Mapping[str, NDArray[Any]]) -> None:
    buffer = learner.replay_buffer
    if buffer is None:
        raise ModelError("a learner without room for experience", "one that was set up")
    position, full = arrays["replay.place"].tolist()
    for name in _REPLAYED:
        kept = arrays[f"replay.{name}"]
        getattr(buffer, name)[: len(kept)] = kept
    buffer.pos, buffer.full = position, bool(full)
