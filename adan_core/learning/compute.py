"""What a training computes fastest on, measured on its own shapes and chosen with a reason."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import torch

from adan_core.config.settings import Settings
from adan_core.domain.time import Clock
from adan_core.learning.agent import build_agent
from adan_core.learning.environment import training_environment
from adan_core.learning.training_plan import ComputeChoice, TrainingPlan

# Whatever is not faster by more than measurements scatter is not worth a departure from the settings.
LEAST_GAIN: Final = 0.05
_ROUNDS: Final = 3
# A rollout that takes longer than this is measured once: seconds are to be spent, not minutes.
_LONG_ROLLOUT: Final = 2.0
_BATCH_FACTORS: Final = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to compute a training."""

    threads: int
    batch_size: int
    compute: ComputeChoice = ComputeChoice()  # noqa: RUF009 - frozen

    @property
    def name(self) -> str:
        """The candidate in words."""
        how = self.compute
        threads = f", {self.threads} thread" + ("s" if self.threads > 1 else "")
        parts = [f"{how.device}{threads if how.device == 'cpu' else ''}", how.precision]
        parts += ["compiled"] if how.compile else []
        return ", ".join([*parts, f"batch {self.batch_size}"])


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one candidate; ``steps_per_second`` is None where ``note`` says why not.

    ``preparation`` is what its first rollout took beyond the later ones, seconds.
    """

    candidate: Candidate
    steps_per_second: float | None
    preparation: float = 0.0
    note: str = ""

    def duration(self, steps: int) -> float:
        """Return how long ``steps`` would take, seconds; infinity where it cannot be computed so."""
        if self.steps_per_second is None:
            return float("inf")
        return self.preparation + steps / self.steps_per_second


@dataclass(frozen=True, slots=True)
class Measurement:
    """Every trial, the candidate chosen, and why."""

    trials: tuple[Trial, ...]
    chosen: Candidate
    reason: str

    def lines(self) -> Iterator[str]:
        """Yield the table and the reason, for a person."""
        for trial in self.trials:
            mark = "*" if trial.candidate == self.chosen else " "
            rate = trial.steps_per_second
            figure = "N/A" if rate is None else f"{rate:,.0f} steps/s"
            note = f"  ({trial.note})" if trial.note else ""
            yield f"{mark} {trial.candidate.name:<44}{figure:>18}{note}"
        yield self.reason

    def record(self) -> dict[str, Any]:
        """Return it as a run's record keeps it."""
        return asdict(self)


class ComputeOptimizer:
    """Tries devices, threads, precision and compilation on the shapes of ``plan``.

    Batch sizes are tried only with ``batches``: they change what is learnt, not only how fast. The
    trials learn with agents of their own, so that nothing of them reaches the run.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        clock: Clock,
        *,
        cpus: int,
        batches: bool,
        compilers: Sequence[str] = ("c++", "g++", "clang++"),
    ) -> None:
        self._compilers = compilers
        self._plan = plan
        self._clock = clock
        self._cpus = cpus
        self._batches = batches

    def measure(self) -> Measurement:
        """Try step by step: devices and threads, then what might speed the best of them up."""
        own = self._as_configured()
        trials = self._try(self._places(own))
        best = self._faster(trials, own)
        # Measured anew beside what might speed it up: what else the machine does may have changed.
        refined = self._try([best.candidate, *self._refinements(best.candidate)])
        chosen = self._faster(refined, best.candidate)
        return Measurement(
            tuple(trials + refined[1:]), chosen.candidate, self._reason(trials, refined, chosen)
        )

    def _as_configured(self) -> Candidate:
        learning = self._plan.learning
        return Candidate(learning.threads, learning.batch_size, self._plan.compute)

    def _places(self, first: Candidate) -> list[Candidate]:
        """Return the settings' own way, then every other device and power of two of threads."""
        plain = ComputeChoice(precision=first.compute.precision, compile=first.compute.compile)
        threads = [1 << power for power in range(self._cpus.bit_length())]
        places = [
            replace(first, threads=one, compute=plain) for one in threads if one <= self._cpus
        ]
        places.append(replace(first, threads=1, compute=replace(plain, device="cuda")))
        return [first, *(one for one in places if one != first)]

    def _refinements(self, best: Candidate) -> list[Candidate]:
        compute = best.compute
        other = "float32" if compute.precision == "bfloat16" else "bfloat16"
        found = [
            replace(best, compute=replace(compute, precision=other)),
            replace(best, compute=replace(compute, compile=not compute.compile)),
        ]
        if self._batches:
            rollout = self._plan.learning.copies * self._plan.learning.steps_per_copy
            sizes = (int(best.batch_size * factor) for factor in _BATCH_FACTORS)
            found += [replace(best, batch_size=size) for size in sizes if 1 < size <= rollout]
        return found

    def _try(self, candidates: list[Candidate]) -> list[Trial]:
        """Measure ``candidates`` in turns, so that a busy moment meets them all alike."""
        measured: list[Trial | _Learner] = []
        for candidate in candidates:
            missing = self._missing(candidate)
            measured.append(
                Trial(candidate, None, note=missing) if missing else self._prepared(candidate)
            )
        learners = [one for one in measured if isinstance(one, _Learner)]
        rounds = 1 if any(one.first > _LONG_ROLLOUT for one in learners) else _ROUNDS
        for _ in range(rounds):
            for learner in learners:
                learner.take_turn()
        return [one.trial() if isinstance(one, _Learner) else one for one in measured]

    def _missing(self, candidate: Candidate) -> str:
        """Return what this machine lacks for ``candidate``; empty if nothing."""
        if candidate.compute.device == "cuda" and not torch.cuda.is_available():
            return "no CUDA device here"
        if candidate.compute.compile and not any(map(shutil.which, self._compilers)):
            return "not available: no C++ compiler here"
        return ""

    def _prepared(self, candidate: Candidate) -> "Trial | _Learner":
        # torch's compiler speaks through many kinds of RuntimeError, and the tools it calls.
        try:
            learner = _Learner(self._plan, candidate, self._clock)
            learner.warm_up()
        except (RuntimeError, OSError, ImportError) as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            return Trial(candidate, None, note=f"not available: {words[0][:120]}")
        return learner

    def _faster(self, trials: list[Trial], usual: Candidate) -> Trial:
        """Return the fastest over the whole run, or ``usual`` if that gains too little."""
        steps = self._plan.steps
        fastest = min(trials, key=lambda trial: trial.duration(steps))
        plain = next(trial for trial in trials if trial.candidate == usual)
        if fastest.duration(steps) < (1.0 - LEAST_GAIN) * plain.duration(steps):
            return fastest
        return plain

    def _reason(self, trials: list[Trial], refined: list[Trial], chosen: Trial) -> str:
        own, best = trials[0], refined[0]
        steps, name = self._plan.steps, chosen.candidate.name
        if chosen.candidate == own.candidate:
            reason = f"{name}, as configured: nothing else would save {LEAST_GAIN:.0%} of the run"
        elif own.steps_per_second is None:
            reason = f"{name}: what is configured is not available ({own.note})"
        else:
            left = chosen.duration(steps) / best.duration(steps)
            if best.candidate != own.candidate:
                placed = next(trial for trial in trials if trial.candidate == best.candidate)
                left *= placed.duration(steps) / own.duration(steps)
            reason = (
                f"{name}: it saves about {1.0 - left:.0%} of the run against {own.candidate.name}"
            )
        if not self._batches:
            reason += "; batch sizes were not tried, because they change what is learnt"
        return reason


class _Learner:
    """One candidate's own agent, learning a rollout at a time."""

    def __init__(self, plan: TrainingPlan, candidate: Candidate, clock: Clock) -> None:
        learning = plan.learning.model_copy(
            update={"threads": candidate.threads, "batch_size": candidate.batch_size}
        )
        environment = training_environment(plan)
        self._agent = build_agent(environment, learning, plan.seed, candidate.compute)
        self._candidate = candidate
        self._clock = clock
        self._steps = learning.copies * learning.steps_per_copy
        self._times: list[float] = []
        self.first = 0.0

    def warm_up(self) -> None:
        """Learn a first rollout, which pays for everything that is made once."""
        self.first = self._rollout()

    def take_turn(self) -> None:
        """Learn a rollout and remember how long it took."""
        self._times.append(self._rollout())

    def trial(self) -> Trial:
        """Return what was measured: the quickest rollout, which others disturbed least."""
        quickest = min(self._times)
        preparation = max(self.first - quickest, 0.0) if self._candidate.compute.compile else 0.0
        note = f"compiled in {preparation:.1f} s" if self._candidate.compute.compile else ""
        return Trial(self._candidate, self._steps / quickest, preparation, note)

    def _rollout(self) -> float:
        # Threads are the whole process's: each turn sets its own.
        torch.set_num_threads(self._candidate.threads)
        began = self._clock.monotonic()
        self._agent.learn(self._steps, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]
        return self._clock.monotonic() - began


def applied(settings: Settings, chosen: Candidate) -> Settings:
    """Return ``settings`` with the choice in them, and nothing left to be measured."""
    learning = settings.learning.model_copy(
        update={"threads": chosen.threads, "batch_size": chosen.batch_size}
    )
    compute = settings.compute.model_copy(
        update={**asdict(chosen.compute), "optimise": "as configured"}
    )
    return settings.model_copy(update={"learning": learning, "compute": compute})
