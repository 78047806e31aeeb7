"""What the seeds of one market prove together, beside what was asked for, gates included."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median, median_low, variance
from typing import Final

from adan_core.config.gate_settings import Gates
from adan_core.data.features import FeatureSet
from adan_core.learning.gates import GateFigures, GateVerdict, judge_gates
from adan_core.learning.leakcheck_verdict import leak_free
from adan_core.learning.market import ladder_of
from adan_core.learning.proof import ProofTask, SeedProof
from adan_core.learning.proof_bench import TIMEFRAME, Reference, training_paths, warm_up
from adan_core.learning.proof_confidence import LEAST_MOVES, Confidence, confidence_of_all
from adan_core.learning.statistics import deflated_sharpe_ratio

MEDIAN_SHARE: Final = 0.9
WORST_SHARE: Final = 0.8
SECONDS: Final = 60.0
MOST_ORDERS: Final = 1.0
ERRORS: Final = 2.0
CALIBRATION_ERROR: Final = 0.1
# Lots leave a millionth of the purse in cash: less than this is no difference, in log-return.
_ROUNDING: Final = 1e-6
_LEAK_CHECKED: Final = 2_000
_INSTANTS: Final = 8


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing asked for: what was found, the limit, and whether it was met."""

    name: str
    found: str
    limit: str
    met: bool


@dataclass(frozen=True, slots=True)
class MarketProof:
    """All seeds of one market; ``shares`` of the attainable optimum, empty where nothing is attainable."""

    market: str
    reference: Reference
    seeds: tuple[SeedProof, ...]
    shares: tuple[float, ...]
    requirements: tuple[Requirement, ...]
    gates: GateVerdict

    @property
    def met(self) -> bool:
        """Whether everything asked for was found."""
        return all(requirement.met for requirement in self.requirements)

    @property
    def median_share(self) -> float:
        """The median seed's share of the attainable optimum; only where there is one."""
        return median(self.shares)

    @property
    def worst_share(self) -> float:
        """The worst seed's share of the attainable optimum; only where there is one."""
        return min(self.shares)

    @property
    def slowest(self) -> float:
        """Seconds of the processor that the slowest seed took to learn.

        By one thread: what the clock says depends on what else the machine does.
        """
        return max(one.processor_seconds for one in self.seeds)

    @property
    def median_net(self) -> float:
        """The median seed's net log-return per 1000 candles."""
        return median(one.tested.net for one in self.seeds)

    @property
    def median_orders(self) -> float:
        """The median seed's orders per 1000 candles."""
        return median(one.tested.orders for one in self.seeds)

    @property
    def calibration_errors(self) -> tuple[float, ...]:
        """Each seed's expected calibration error, as far as its decisions could be scored."""
        errors = (one.tested.confidence.decisions.expected_error for one in self.seeds)
        return tuple(error for error in errors if error is not None)

    @property
    def confidence(self) -> Confidence:
        """How often all seeds' decisions were right, by how sure they were."""
        return confidence_of_all([one.tested.confidence for one in self.seeds])

    @property
    def learnable(self) -> bool:
        """Whether prices tell anything worth its costs."""
        return bool(self.shares)


def judge_market(seeds: Sequence[SeedProof], gates: Gates, *, leak_free: bool) -> MarketProof:
    """Hold the seeds of one market to what was asked for; ``leak_free`` is the leak check's answer."""
    reference = seeds[0].reference
    learnable = reference.promised > 0.0
    shares = tuple(one.tested.net / reference.attainable for one in seeds) if learnable else ()
    verdict = judge_gates(_figures(seeds, leak_free), gates)
    found = (
        _learnt(shares, max(one.processor_seconds for one in seeds))
        if learnable
        else _let_be(seeds)
    )
    gate = Requirement(
        "gates",
        "accept" if verdict.passed else "refuse",
        "accept" if learnable else "refuse",
        verdict.passed is learnable,
    )
    requirements = (*found, *_calibrated([one.tested.confidence for one in seeds]), gate)
    return MarketProof(seeds[0].market, reference, tuple(seeds), shares, requirements, verdict)


def _learnt(shares: Sequence[float], slowest: float) -> Iterator[Requirement]:
    middle, worst = median(shares), min(shares)
    yield Requirement(
        "median seed", f"{middle:.1%}", f"at least {MEDIAN_SHARE:.0%}", middle >= MEDIAN_SHARE
    )
    yield Requirement(
        "worst seed", f"{worst:.1%}", f"at least {WORST_SHARE:.0%}", worst >= WORST_SHARE
    )
    yield Requirement(
        "slowest seed, processor time",
        f"{slowest:.1f} s",
        f"at most {SECONDS:.0f} s",
        slowest <= SECONDS,
    )


def _let_be(seeds: Sequence[SeedProof]) -> Iterator[Requirement]:
    busiest = max(one.tested.orders for one in seeds)
    yield Requirement(
        "orders per 1000 candles, busiest seed",
        f"{busiest:.2f}",
        f"at most {MOST_ORDERS:.0f}",
        busiest <= MOST_ORDERS,
    )
    lucky = [_errors(one) for one in seeds]
    yield Requirement(
        "net minus exposure times buy and hold, beyond costs",
        f"{max(lucky):.2f} standard errors",
        f"at most {ERRORS:.0f}",
        max(lucky) <= ERRORS,
    )


def _calibrated(seeds: Sequence[Confidence]) -> Iterator[Requirement]:
    limit = f"below {CALIBRATION_ERROR:g}"
    errors = [one.decisions.expected_error for one in seeds]
    known = [error for error in errors if error is not None]
    yield Requirement(
        "calibration error, worst seed",
        f"{max(known):.3f} (median {median(known):.3f})" if known else "N/A: no horizon has passed",
        limit,
        len(known) == len(errors) and max(known) < CALIBRATION_ERROR,
    )
    own = [error for one in seeds if (error := one.move_error) is not None]
    most = max(one.moves.decisions for one in seeds)
    yield Requirement(
        "calibration error of moves alone, worst seed",
        f"{max(own):.3f} (median {median(own):.3f})"
        if own
        else f"N/A: {most:,} moves of a seed at most, {LEAST_MOVES} would tell",
        limit,
        not own or max(own) < CALIBRATION_ERROR,
    )


def _errors(one: SeedProof) -> float:
    """Return how many standard errors the seed's luck lies from nothing."""
    luck, error = abs(one.tested.luck), one.tested.luck_error
    return 0.0 if luck <= _ROUNDING else luck / max(error, _ROUNDING)


def _figures(seeds: Sequence[SeedProof], leak_free: bool) -> GateFigures:
    tested = [one.tested for one in seeds]
    middle = median_low([one.stressed for one in tested])
    chosen = next(one for one in tested if one.stressed == middle)
    sharpes = [one.shape.sharpe for one in tested if one.shape is not None]
    deflated = None
    unavailable = {"paper_days": "it has not decided on paper"}
    if chosen.shape is None:
        unavailable["deflated_sharpe"] = "its equity never moved"
    else:
        spread = variance(sharpes) if len(sharpes) > 1 else 0.0
        deflated = deflated_sharpe_ratio(chosen.shape, len(sharpes), spread)
    return GateFigures(
        seeds=len(seeds),
        excess_over_flat=chosen.stressed,
        excess_over_buy_and_hold=chosen.stressed - chosen.stressed_buy_and_hold,
        max_drawdown=chosen.drawdown,
        deflated_sharpe=deflated,
        trades=chosen.trades,
        largest_share=chosen.largest_share,
        saturated=chosen.saturated,
        leakcheck_clean=leak_free,
        unavailable=unavailable,
    )


def proof_leak_free(task: ProofTask) -> bool:
    """Return whether the leak check finds nothing in this task's features, on a training path of it."""
    spec = FeatureSet.parse(task.features, task.settings.features)
    ready = warm_up(spec, ladder_of(task.settings, TIMEFRAME))
    series = training_paths(task.market, task.seed)[0].slice(0, _LEAK_CHECKED + ready)
    return leak_free(series, task.settings, task.features, {}, instants=_INSTANTS) is True
