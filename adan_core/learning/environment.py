"""The trading environment as gymnasium and as Stable-Baselines3 want it; the kernel is the same."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices

from adan_core.domain.errors import ConfigurationError
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.reward import REWARD_TERMS
from adan_core.learning.segments import Segment

# Normalised columns are clipped to +/-10; the portfolio's lie within that by construction, save
# the unrealised return of a position without take-profit, which the clip below bounds too.
_BOUND = 100.0


def _spaces(
    kernel: EnvironmentKernel, exposures: Sequence[float]
) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Discrete]:
    if len(exposures) < 2:
        raise ConfigurationError(f"exposures {list(exposures)}", "two discrete targets or more")
    shape = (kernel.observations.shape[1],)
    return (
        gymnasium.spaces.Box(-_BOUND, _BOUND, shape, np.float32),
        gymnasium.spaces.Discrete(len(exposures)),
    )


class TradingEnvironment(gymnasium.Env[NDArray[np.float32], np.int64]):
    """One copy, for checkers, experiments and anybody who speaks gymnasium.

    Action ``k`` asks for ``exposures[k]`` (fraction of the symbol's cap). ``info`` carries the
    step's equity and its reward terms, unscaled.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's own declaration

    def __init__(
        self,
        segments: tuple[Segment, ...],
        exposures: Sequence[float],
        capital: float,
        episode_length: int,
        seed: int = 0,
    ) -> None:
        self._kernel = EnvironmentKernel(segments, 1, capital, episode_length, seed)
        self._exposures = np.array(exposures, dtype=np.float64)
        observed, acted = _spaces(self._kernel, exposures)
        self.observation_space = cast("gymnasium.spaces.Space[NDArray[np.float32]]", observed)
        self.action_space = acted

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start a new episode somewhere in the data; ``seed`` makes the place repeatable."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._kernel.seed(seed)
        self._kernel.begin(np.ones(1, dtype=np.bool_))
        return self._kernel.observations[0].copy(), {"equity": self._kernel.capital}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Carry out ``action`` within the next candle."""
        kernel = self._kernel
        kernel.step(self._exposures[[int(action)]])
        info = {
            "equity": kernel.equity(0),
            "terms": dict(zip(REWARD_TERMS, kernel.terms[0].tolist(), strict=True)),
        }
        return (
            kernel.observations[0].copy(),
            float(kernel.rewards[0]),
            bool(kernel.terminated[0]),
            bool(kernel.truncated[0]),
            info,
        )


class TradingVecEnv(VecEnv):
    """All copies at once, reset by itself at each episode's end, as SB3's contract asks.

    The info of an ended copy carries ``terminal_observation`` and ``TimeLimit.truncated``.
    ``mean_reward`` is the mean learner's reward of the last ``EPISODES`` ended episodes,
    ``reward_terms`` each term's mean per step over the newest whole ``TERM_STEPS`` of all copies.
    """

    EPISODES = 100
    TERM_STEPS = 256

    def __init__(self, kernel: EnvironmentKernel, exposures: Sequence[float]) -> None:
        self.render_mode = None
        super().__init__(kernel.copies, *_spaces(kernel, exposures))
        self.kernel = kernel
        self._exposures = np.array(exposures, dtype=np.float64)
        self._targets = np.zeros(kernel.copies, dtype=np.float64)
        self._infos: list[dict[str, Any]] = [{} for _ in range(kernel.copies)]
        self._running = np.zeros(kernel.copies, dtype=np.float64)
        self._ended = np.full(self.EPISODES, np.nan, dtype=np.float64)
        self._count = np.zeros(1, dtype=np.int64)
        self._term_sums = np.zeros(len(REWARD_TERMS), dtype=np.float64)
        self._term_steps = 0
        self._recent_terms: dict[str, float] = {}

    @property
    def mean_reward(self) -> float | None:
        """Mean reward of the newest ended episodes; None before the first."""
        known = self._ended[~np.isnan(self._ended)]
        return float(known.mean()) if known.size else None

    @property
    def reward_terms(self) -> dict[str, float]:
        """Mean of each reward term per step, unscaled; empty before enough steps were taken."""
        return self._recent_terms

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array that changes as the copies run, by name; not copies."""
        return {
            **self.kernel.arrays,
            "running_rewards": self._running,
            "ended_rewards": self._ended,
            "ended_count": self._count,
        }

    def reset(self) -> NDArray[np.float32]:
        """Start all copies, at places of their own, ending at different times."""
        if self._seeds[0] is not None:
            self.kernel.seed(self._seeds[0])
        self._reset_seeds()
        self.kernel.begin(np.ones(self.num_envs, dtype=np.bool_), stagger=True)
        self._running[:] = 0.0
        return self.kernel.observations.copy()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the copies' actions, shape (N,), indices into the exposures."""
        self._targets = self._exposures[actions]

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Step all copies; the copies that ended are already in their next episode."""
        kernel = self.kernel
        kernel.step(self._targets)
        rewards = kernel.rewards.copy()
        self._running += rewards
        self._add_up_terms()
        done = kernel.terminated | kernel.truncated
        infos = self._infos
        if done.any():
            infos = list(infos)
            for copy in np.flatnonzero(done):
                infos[copy] = {
                    "terminal_observation": kernel.observations[copy].copy(),
                    "TimeLimit.truncated": bool(kernel.truncated[copy]),
                }
                self._ended[self._count[0] % self.EPISODES] = self._running[copy]
                self._count[0] += 1
            self._running[done] = 0.0
            kernel.begin(done)
        return kernel.observations.copy(), rewards, done, infos

    def _add_up_terms(self) -> None:
        self._term_sums += self.kernel.terms.sum(axis=0)
        self._term_steps += 1
        if self._term_steps == self.TERM_STEPS:
            means = self._term_sums / (self._term_steps * self.kernel.copies)
            self._recent_terms = dict(zip(REWARD_TERMS, means.tolist(), strict=True))
            self._term_sums[:] = 0.0
            self._term_steps = 0

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the batch once per copy; AttributeError if it has none."""
        value = getattr(self, attr_name)
        return [value for _ in self._indices(indices)]

    def set_attr(
        self,
        attr_name: str,
        value: Any,  # noqa: ANN401, ARG002 - SB3's signature
        indices: VecEnvIndices = None,  # noqa: ARG002
    ) -> None:
        """Refuse: the copies are rows of arrays and have no attributes of their own."""
        raise AttributeError(f"{attr_name} cannot be set on the copies of a batched environment")

    def env_method(
        self,
        method_name: str,
        *args: Any,  # noqa: ANN401, ARG002 - SB3's signature
        indices: VecEnvIndices = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> list[Any]:
        """Refuse: the copies are rows of arrays and have no methods of their own."""
        raise AttributeError(f"the copies of a batched environment have no method {method_name}")

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],  # noqa: ARG002 - SB3's signature
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Return False for each copy: nothing wraps a row."""
        return [False for _ in self._indices(indices)]

    def _indices(self, indices: VecEnvIndices) -> Iterable[int]:
        return self._get_indices(indices)
