"""The trading environment as gymnasium and as Stable-Baselines3 want it; the kernel is the same."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices

from adan_core.accounting.sizing import DENIALS
from adan_core.domain.errors import ConfigurationError
from adan_core.learning.actions import exposures_of
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.environment_options import EnvironmentOptions
from adan_core.learning.inference import Layer
from adan_core.learning.reward import REWARD_TERMS
from adan_core.learning.rollout_kernel import Experience, actor_of, roll
from adan_core.learning.segments import Segment
from adan_core.learning.training_plan import TrainingPlan

# Normalised columns are clipped to +/-10; the portfolio's lie within that by construction, save
# the unrealised return of a position without take-profit, which the clip below bounds too.
_BOUND = 100.0
# Batches that may be played at once; more than two would leave each too little to be worth a thread.
BATCHES = 2

Floats = NDArray[np.float64]


class _Actions:
    """What the copies' actions ask for: one of ``exposures``, or anything between the outermost."""

    def __init__(self, exposures: Sequence[float], dead_band: float | None) -> None:
        if len(exposures) < 2:
            raise ConfigurationError(f"exposures {list(exposures)}", "two discrete targets or more")
        self.exposures = np.array(exposures, dtype=np.float64)
        self._dead_band = dead_band

    def space(self, symbols: int) -> "gymnasium.spaces.Space[Any]":
        """Return the space of one environment that plays so many symbols at once."""
        if self._dead_band is not None:
            return gymnasium.spaces.Box(-1.0, 1.0, (symbols,), np.float32)
        choices = len(self.exposures)
        if symbols == 1:
            return gymnasium.spaces.Discrete(choices)
        return gymnasium.spaces.MultiDiscrete([choices] * symbols)

    def targets(self, actions: NDArray[Any]) -> Floats:
        """Return the target exposures that ``actions``, one per copy, ask for, shape (N,)."""
        if self._dead_band is None:
            chosen: Floats = self.exposures[actions.reshape(-1)]
            return chosen
        lowest, highest = float(self.exposures[0]), float(self.exposures[-1])
        return exposures_of(actions.reshape(-1), lowest, highest, self._dead_band)


def _observations(rows: int, columns: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(-_BOUND, _BOUND, (rows * columns,), np.float32)


class TradingEnvironment(gymnasium.Env[NDArray[np.float32], Any]):
    """One purse, for checkers, experiments and anybody who speaks gymnasium.

    Action ``k`` asks for ``exposures[k]`` (fraction of the symbol's cap); with a ``dead_band`` it is
    a number in [-1, 1] instead, see ``exposures_of``. Several symbols with one purse are one
    environment: one action each, their observations end to end, their rewards summed. ``info``
    carries the step's equity, its reward terms, unscaled, and per symbol why its action could not be
    followed (``denied``, a word of ``DENIALS``, empty where it could).
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's own declaration

    def __init__(
        self,
        segments: tuple[Segment, ...],
        exposures: Sequence[float],
        capital: float,
        episode_length: int,
        seed: int = 0,
        options: EnvironmentOptions = EnvironmentOptions(),  # noqa: B008 - frozen
        dead_band: float | None = None,
    ) -> None:
        symbols = options.symbols
        self._kernel = EnvironmentKernel(segments, symbols, capital, episode_length, seed, options)
        self._kernel.economics.check_sides(min(exposures, default=0.0))
        self._actions = _Actions(exposures, dead_band)
        observed = _observations(symbols, self._kernel.observations.shape[1])
        self.observation_space = cast("gymnasium.spaces.Space[NDArray[np.float32]]", observed)
        self.action_space = self._actions.space(symbols)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start a new episode somewhere in the data; ``seed`` makes the place repeatable."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._kernel.seed(seed)
        self._kernel.begin(np.ones(self._kernel.copies, dtype=np.bool_))
        return self._kernel.observations.reshape(-1).copy(), {"equity": self._kernel.capital}

    def step(
        self,
        action: Any,  # noqa: ANN401 - a number or an array, as the action space has it
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Carry out ``action`` within the next candle."""
        kernel = self._kernel
        kernel.step(self._actions.targets(np.asarray(action)))
        info = {
            "equity": kernel.equity(0),
            "terms": dict(zip(REWARD_TERMS, kernel.terms.sum(axis=0).tolist(), strict=True)),
            "denied": tuple(DENIALS[code] for code in kernel.denied.tolist()),
        }
        return (
            kernel.observations.reshape(-1).copy(),
            float(kernel.rewards.sum()),
            bool(kernel.terminated[0]),
            bool(kernel.truncated[0]),
            info,
        )


def training_environment(plan: TrainingPlan) -> "TradingVecEnv":
    """Return the copies that ``plan`` learns from."""
    learning = plan.learning
    kernel = EnvironmentKernel(
        plan.training,
        learning.copies,
        plan.capital,
        learning.episode_length,
        plan.seed,
        plan.options,
    )
    return TradingVecEnv(kernel, learning.exposures, dead_band_of(plan))


def dead_band_of(plan: TrainingPlan) -> float | None:
    """Return the dead band of continuous actions; None where actions are discrete."""
    learning = plan.learning
    return learning.dead_band if learning.action == "continuous" else None


class TradingVecEnv(VecEnv):
    """All copies at once, reset by itself at each episode's end, as SB3's contract asks.

    The info of an ended copy carries ``terminal_observation`` and ``TimeLimit.truncated``.
    ``mean_reward`` is the mean learner's reward of the last ``EPISODES`` ended episodes,
    ``reward_terms`` each term's mean per step over ``TERM_STEPS`` or more of all copies.
    """

    EPISODES = 100
    TERM_STEPS = 256

    def __init__(
        self,
        kernel: EnvironmentKernel,
        exposures: Sequence[float],
        dead_band: float | None = None,
    ) -> None:
        self.render_mode = None
        kernel.economics.check_sides(min(exposures, default=0.0))
        self._actions = _Actions(exposures, dead_band)
        super().__init__(
            kernel.copies,
            _observations(1, kernel.observations.shape[1]),
            self._actions.space(1),
        )
        self.kernel = kernel
        self._batches = kernel.batches(BATCHES, self.EPISODES)
        self._infos: list[dict[str, Any]] = [{} for _ in range(kernel.copies)]
        self._players = ThreadPoolExecutor(max(len(self._batches) - 1, 1), "rollout")
        self._term_steps = 0
        self._recent_terms: dict[str, float] = {}

    @property
    def mean_reward(self) -> float | None:
        """Mean reward of the newest ended episodes; None before the first."""
        rewards = np.concatenate([batch.episodes.ended for batch in self._batches])
        known = rewards[~np.isnan(rewards)]
        return float(known.mean()) if known.size else None

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which copies' episodes ended in the newest step, (N,); a copy."""
        return np.concatenate([batch.done for batch in self._batches])

    @property
    def reward_terms(self) -> dict[str, float]:
        """Mean of each reward term per step, unscaled; empty before enough steps were taken."""
        return self._recent_terms

    @property
    def denied(self) -> dict[str, int]:
        """How many actions could not be followed so far, by reason; only reasons that occurred."""
        counted = sum((batch.copies.denials for batch in self._batches), self.kernel.denials)
        counts = zip(DENIALS, counted.tolist(), strict=True)
        return {reason: count for reason, count in counts if reason and count}

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array that changes as the copies run, by name; not copies."""
        arrays: dict[str, NDArray[Any]] = self.kernel.arrays
        for place, batch in enumerate(self._batches):
            arrays[f"batch{place}.denials"] = batch.copies.denials
            arrays[f"batch{place}.done"] = batch.done
            arrays[f"batch{place}.running"] = batch.episodes.running
            arrays[f"batch{place}.ended"] = batch.episodes.ended
            arrays[f"batch{place}.number"] = batch.episodes.number
        return arrays

    def reset(self) -> NDArray[np.float32]:
        """Start all copies, at places of their own, ending at different times."""
        if self._seeds[0] is not None:
            self.kernel.seed(self._seeds[0])
        self._reset_seeds()
        self.kernel.begin(np.ones(self.num_envs, dtype=np.bool_), stagger=True)
        for batch in self._batches:
            batch.episodes.running[:] = 0.0
            batch.done[:] = True
        return self.kernel.observations.copy()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the copies' actions: indices into the exposures, shape (N,), or numbers, (N, 1)."""
        targets = self._actions.targets(actions)
        for batch, place in zip(self._batches, self._places(), strict=True):
            batch.targets[:] = targets[place]

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Step all copies; the copies that ended are already in their next episode."""
        kernel, infos = self.kernel, self._infos
        ended = [kernel.advance(batch) for batch in self._batches]
        self._count(1)
        done = self.done
        if any(ended):
            infos = list(infos)
            last = np.concatenate([batch.episodes.last for batch in self._batches])
            for copy in np.flatnonzero(done).tolist():
                infos[copy] = {
                    "terminal_observation": last[copy],
                    "TimeLimit.truncated": bool(kernel.truncated[copy]),
                }
        return kernel.observations.copy(), kernel.rewards.copy(), done, infos

    def roll(
        self,
        policy: tuple[Layer, ...],
        value: tuple[Layer, ...],
        gamma: float,
        chances: NDArray[np.float32],
        experience: Experience,
    ) -> NDArray[np.float32]:
        """Play a step per row of ``chances`` (steps, N), uniform in [0, 1), into ``experience``.

        What ``step_async`` and ``step_wait`` would do so many times, by discrete actions, without
        leaving compiled code; batches play side by side, and it makes no difference to any number
        how many processors there are. Return the value, (N,), of what the copies see at the end.
        """
        final = np.zeros(self.num_envs, dtype=np.float32)
        jobs = []
        for batch, place in zip(self._batches, self._places(), strict=True):
            actor = actor_of(policy, value, self._actions.exposures, gamma)
            part = Experience._make(array[:, place] for array in experience)
            length, world = self.kernel.episode_length, self.kernel.world
            jobs.append((actor, chances[:, place], length, world, batch, part, final[place]))
        others = [self._players.submit(roll, *job) for job in jobs[1:]]
        roll(*jobs[0])
        for other in others:
            other.result()
        self._count(len(chances))
        return final

    def _places(self) -> Iterator[slice]:
        first = 0
        for batch in self._batches:
            yield slice(first, first + len(batch.done))
            first += len(batch.done)

    def _count(self, steps: int) -> None:
        self._term_steps += steps
        if self._term_steps >= self.TERM_STEPS:
            self._take_term_means()

    def _take_term_means(self) -> None:
        sums = sum((batch.episodes.terms for batch in self._batches), np.zeros(len(REWARD_TERMS)))
        means = sums / (self._term_steps * self.num_envs)
        self._recent_terms = dict(zip(REWARD_TERMS, means.tolist(), strict=True))
        for batch in self._batches:
            batch.episodes.terms[:] = 0.0
        self._term_steps = 0

    def close(self) -> None:
        """Let the threads that play batches end."""
        self._players.shutdown()

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
