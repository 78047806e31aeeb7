"""From a request to a plan that can be learnt, and from what was learnt to a sealed model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.split import Period, Split
from adan_core.data.store import CandleStore
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, ModelError
from adan_core.domain.time import SECOND, Milliseconds, iso
from adan_core.learning.actions import levels_of
from adan_core.learning.bundle import MODEL_SCHEMA_VERSION, ModelCard, library_versions, seal_model
from adan_core.learning.calibrating import calibrate
from adan_core.learning.market import (
    Prepared,
    economics,
    environment_options,
    fit_normaliser,
    ladder_of,
    prepare_all,
    segment,
    simulated_training_series,
    training_hash,
    with_external,
)
from adan_core.learning.member import MemberCard, places_of
from adan_core.learning.networks import network_from
from adan_core.learning.profiles import Terms, terms_of
from adan_core.learning.runs import RUN_SCHEMA_VERSION, DataRecord, RunRecord, Span
from adan_core.learning.segments import Segment, aligned
from adan_core.learning.training_plan import ComputeChoice, TrainingOutcome, TrainingPlan
from adan_core.learning.votes import VotingRules

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A run's record, the plan and terms it resolves to, and the normaliser fitted on the way.

    The plan's candles show what the member reads and no more.
    """

    record: RunRecord
    plan: TrainingPlan
    terms: Terms
    normaliser: Normaliser


def training_series(
    dataset: str | None, settings: Settings, seed: int, store: CandleStore
) -> tuple[CandleSeries, ...]:
    """Return the candles to learn from: a stored data set, or the built-in market's paths."""
    if dataset is None:
        return simulated_training_series(settings, seed)
    return (store.read(dataset),)


def new_lesson(
    settings: Settings,
    features: str,
    series: tuple[CandleSeries, ...],
    dataset: str | None,
    steps: int,
    seed: int,
    now: Milliseconds,
    cache: DataCache | None = None,
    profile: str = "",
    ensemble: str = "",
    split: Split | None = None,
) -> Lesson:
    """Plan a new run; ``features`` is the feature file's text, ``profile`` the member to train.

    ``ensemble`` names the model that it will be one of four members of, if it is to be.
    ``split`` says when it trains and validates, the settings' shares where it is left out.
    DataError or ConfigurationError if the candles cannot be learnt from under these settings.
    """
    ladder = ladder_of(settings, series[0].timeframe)
    spec = _known(FeatureSet.parse(features, settings.features), settings, series)
    parts = prepare_all(series, ladder, spec, settings, cache, split)
    kind = f"-{profile}" if profile else ""
    alone = f"{dataset or 'simulated'}{kind}-s{seed}-{_stamp(now)}"
    record = RunRecord(
        schema_version=RUN_SCHEMA_VERSION,
        run_id=f"{ensemble}-{profile}" if ensemble else alone,
        created_at=now,
        dataset=dataset,
        steps=steps,
        seed=seed,
        ladder=tuple(str(step) for step in ladder),
        features=features,
        feature_schema_hash=spec.schema_hash(ladder),
        external_hash=spec.external_hash,
        settings=settings.model_dump(mode="json"),
        data=tuple(_data_record(part) for part in parts),
        library_versions=library_versions(),
        profile=profile,
        ensemble=ensemble,
    )
    return _lesson(record, parts, settings, cache)


def ensemble_name(dataset: str | None, seed: int, now: Milliseconds) -> str:
    """Return the name of a new model of four members."""
    return f"{dataset or 'simulated'}-ensemble-s{seed}-{_stamp(now)}"


def _stamp(now: Milliseconds) -> str:
    return datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y%m%d-%H%M%S")


def settings_of(record: RunRecord) -> Settings:
    """Return the settings a run was started under; ModelError if this version knows others."""
    try:
        return Settings.model_validate_json(msgspec.json.encode(record.settings))
    except ValidationError as error:
        keys = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors()}))
        raise ModelError(
            f"run {record.run_id} was started under other settings than this version's: {keys}",
            "a run of this version",
            "go on with the ADAN that began it, or start a new run",
        ) from error


def resolved(lesson: Lesson, settings: Settings, measured: Mapping[str, Any]) -> Lesson:
    """Return ``lesson`` as it is computed after a measurement: ``settings`` hold what was chosen.

    They are the run's from then on, so that it is resumed and reproduced without measuring again.
    """
    record = replace(
        lesson.record, settings=settings.model_dump(mode="json"), compute=dict(measured)
    )
    learning = lesson.plan.learning.model_copy(
        update={
            "threads": settings.learning.threads,
            "batch_size": settings.learning.batch_size,
        }
    )
    plan = replace(lesson.plan, learning=learning, compute=_compute(settings))
    return replace(lesson, record=record, plan=plan, terms=replace(lesson.terms, learning=learning))


def _compute(settings: Settings) -> ComputeChoice:
    compute = settings.compute
    return ComputeChoice(compute.device, compute.precision, compute.compile)


def old_lesson(
    record: RunRecord, series: tuple[CandleSeries, ...], cache: DataCache | None = None
) -> Lesson:
    """Plan the rest of a run from its record alone; DataError if its candles have changed since."""
    settings = settings_of(record)
    ladder = tuple(Timeframe.parse(text) for text in record.ladder)
    spec = _known(FeatureSet.parse(record.features, f"{record.run_id}/features"), settings, series)
    if spec.schema_hash(ladder) != record.feature_schema_hash:
        raise ModelError(
            f"run {record.run_id} was made for state {record.feature_schema_hash}",
            f"{spec.schema_hash(ladder)}, what this version builds",
            "start a new run",
        )
    found = tuple(one.content_hash for one in series)
    expected = tuple(data.series_hash for data in record.data)
    if found != expected:
        raise DataError(
            f"the candles of run {record.run_id} have changed since it began",
            f"content {', '.join(expected)}",
            "restore the data set, or start a new run",
        )
    if spec.external_hash != record.external_hash:
        raise DataError(
            f"the external columns of run {record.run_id} have changed since it began",
            f"content {record.external_hash}",
            "restore their files, or start a new run",
        )
    parts = prepare_all(series, ladder, spec, settings, cache)
    return _lesson(record, parts, settings, cache)


def seal_members(
    lesson: Lesson,
    learnt: Sequence[tuple[MemberCard, Mapping[str, NDArray[np.float32]]]],
    models: Path,
    key: "Ed25519PrivateKey",
    now: Milliseconds,
    evaluation: Mapping[str, Any] | None = None,
    parent: str | None = None,
) -> ModelCard:
    """Seal members, each with its weights, as one model under ``models``; ``lesson`` is any one's.

    ``parent`` is the model in service that it may follow; nothing of its weights is in the new one.
    """
    card = card_of(lesson.record, tuple(card for card, _ in learnt), now, parent)
    weights = [own for _, own in learnt]
    seal_model(models, card, weights, lesson.normaliser, lesson.record.features, key, evaluation)
    return card


def card_of(
    record: RunRecord, members: tuple[MemberCard, ...], now: Milliseconds, parent: str | None
) -> ModelCard:
    """Return the card of the model that ``members`` make."""
    return ModelCard(
        schema_version=MODEL_SCHEMA_VERSION,
        model_id=record.ensemble if len(members) > 1 else record.run_id,
        created_at=now,
        trained_on=_describe(record),
        synthetic=any(data.synthetic for data in record.data),
        ladder=record.ladder,
        feature_schema_hash=record.feature_schema_hash,
        data=record.data,
        members=members,
        rules=voting_rules(settings_of(record)),
        library_versions=record.library_versions,
        parent=parent,
    )


def member_card(lesson: Lesson, outcome: TrainingOutcome) -> MemberCard:
    """Return the card of the member that a run has learnt."""
    record, terms, plan = lesson.record, lesson.terms, lesson.plan
    exposures = terms.learning.exposures
    levels = levels_of(exposures, terms.learning.action)
    algorithm = terms.learning.algorithm.name
    return MemberCard(
        name=terms.name,
        algorithm=algorithm,
        horizon=terms.horizon,
        columns=terms.columns,
        exposures=exposures,
        levels=levels,
        stop_loss=terms.stop_loss,
        take_profit=terms.take_profit,
        lowest_weight=terms.lowest_weight,
        highest_weight=terms.highest_weight,
        seed=record.seed,
        steps=outcome.steps,
        selected_at=outcome.selected_at,
        validation_score=outcome.score,
        calibration=calibrate(
            network_from(algorithm, outcome.weights, levels),
            exposures,
            terms.horizon,
            plan.validation,
            plan.capital,
            voting_rules(settings_of(record)).cost_rate,
        ),
        settings=record.settings,
    )


def voting_rules(settings: Settings) -> VotingRules:
    """Return how members decide together under the settings in force."""
    voting, costs = settings.voting, settings.costs
    return VotingRules(
        voting.agreement,
        voting.adaptation,
        voting.sharpness,
        costs.fee_rate + costs.slippage_rate,
    )


def _known(spec: FeatureSet, settings: Settings, series: tuple[CandleSeries, ...]) -> FeatureSet:
    """Return ``spec`` with what its files hold now, as far as it was known by the last candle.

    A file that goes on growing does not stand in the way of a run that goes on.
    """
    newest = max((int(one.close_time[-1]) for one in series if len(one)), default=0)
    return with_external(spec, settings).known_by(newest)


def _lesson(
    record: RunRecord,
    parts: tuple[Prepared, ...],
    settings: Settings,
    cache: DataCache | None,
) -> Lesson:
    normaliser = fit_normaliser(parts)
    market = parts[0].frame.columns
    ladder = tuple(Timeframe.parse(text) for text in record.ladder)
    terms = terms_of(settings, record.profile, market, ladder)
    columns = places_of(terms.columns, market)[: -len(PORTFOLIO_COLUMNS)]

    def cut(part: Prepared, period: Period) -> Segment:
        whole = segment(
            part.series,
            part.frame,
            normaliser,
            terms.economics(economics(settings, part.series.symbol)),
            period.start,
            period.stop,
            cache,
        )
        return replace(whole, market=np.ascontiguousarray(whole.market[:, columns]))

    options = environment_options(settings, len(parts))

    def cuts(periods: list[Period]) -> tuple[Segment, ...]:
        segments = tuple(cut(part, period) for part, period in zip(parts, periods, strict=True))
        if options.symbols == 1:
            return segments
        times = [
            part.series.open_time[max(period.start, part.frame.ready) : period.stop]
            for part, period in zip(parts, periods, strict=True)
        ]
        return aligned(segments, tuple(times))

    plan = TrainingPlan(
        run_id=record.run_id,
        steps=record.steps,
        seed=record.seed,
        learning=terms.learning,
        capital=settings.account.starting_capital,
        training=cuts([part.split.training for part in parts]),
        validation=cuts([part.split.validation for part in parts]),
        options=options,
        compute=_compute(settings),
        profile=record.profile,
    )
    return Lesson(record, plan, terms, normaliser)


def _data_record(part: Prepared) -> DataRecord:
    series, split = part.series, part.split
    return DataRecord(
        symbol=series.symbol,
        timeframe=str(series.timeframe),
        synthetic=series.synthetic,
        series_hash=series.content_hash,
        training_hash=training_hash(part),
        training=_span(split.training),
        validation=_span(split.validation),
        test=_span(split.test),
    )


def _span(period: Period) -> Span:
    return Span(period.start_time, period.stop_time, len(period))


def _describe(record: RunRecord) -> str:
    symbols = ", ".join(data.symbol for data in record.data)
    first = min(data.training.start_time for data in record.data)
    last = max(data.training.stop_time for data in record.data)
    kind = "simulated " if record.data[0].synthetic else ""
    return f"{kind}{symbols} {record.ladder[0]}, {iso(first)[:10]} to {iso(last)[:10]}"
