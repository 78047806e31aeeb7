"""From a walk-forward of a way of learning to the judgement of one sealed model that was learnt so."""

from collections.abc import Sequence

import numpy as np

from adan_core.data.series import CandleSeries
from adan_core.domain.errors import ModelError
from adan_core.domain.time import Milliseconds
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.expectation import Expectation, expect
from adan_core.learning.fold_run import USUAL, FoldResult
from adan_core.learning.judgements import JUDGEMENT_SCHEMA_VERSION, Judgement
from adan_core.learning.member import MemberCard
from adan_core.learning.test_ledger import recipe_of
from adan_core.learning.walk_forward import WalkForward


def require_recipe(model: ServiceModel, recipe: str, steps: int, series: CandleSeries) -> None:
    """Raise ModelError unless ``model`` was learnt by ``recipe`` in so many steps, on this market.

    What was found of other settings, features or steps says nothing of it; a training learns on to
    the end of the rollout that its last step falls into. Its training candles must be the first ones
    of ``series``, which may have grown since.
    """
    card = model.card
    names = [member.name for member in card.members]
    learnt = {
        (recipe_of(member.settings, card.feature_schema_hash, names), member.steps)
        for member in card.members
    }
    rollout = max(_rollout(member) for member in card.members)
    if any(own != recipe or not 0 <= count - steps < rollout for own, count in learnt):
        found = " and ".join(f"recipe {own} in {count:,} steps" for own, count in sorted(learnt))
        raise ModelError(
            f"model {card.model_id} was learnt by {found}",
            f"recipe {recipe} in {steps:,} steps, which is judged here",
            "judge it under the settings, profile and --steps it was trained with",
        )
    for record in card.data:
        candles = record.training.candles
        if len(series) < candles or series.slice(0, candles).content_hash != record.training_hash:
            raise ModelError(
                f"model {card.model_id} was trained on {record.symbol} to other candles than these",
                "the data set that it was trained on",
            )


def _rollout(member: MemberCard) -> int:
    """Return how many steps a member learnt from at a time."""
    learning = member.settings["learning"]
    return int(learning["copies"]) * int(learning["steps_per_copy"])


def judgement_of(
    model: ServiceModel,
    digest: str,
    report: WalkForward,
    results: Sequence[FoldResult],
    now: Milliseconds,
) -> Judgement:
    """Return what the walk-forward found as the judgement of ``model``.

    The figures and the band are those of the recipe's median seed: a model's own test part is one
    stretch, and what its brothers earned on the others tells more of what to expect.
    """
    return Judgement(
        schema_version=JUDGEMENT_SCHEMA_VERSION,
        model_id=model.model_id,
        model_digest=digest,
        judged_at=now,
        method=f"walk-forward, {len(report.folds)} folds, {len(report.seeds)} seeds",
        data=f"{report.dataset} ({report.symbol} {report.timeframe})",
        figures=report.figures,
        expectation=_expectation(report.median.seed, results),
        report={
            "recipe": report.recipe,
            "data_hash": report.data_hash,
            "test_start": report.test_start,
            "test_stop": report.test_stop,
            "trials": report.trials,
            "log_returns": {str(one.seed): one.metrics.log_return for one in report.seeds},
        },
    )


def _expectation(seed: int, results: Sequence[FoldResult]) -> Expectation:
    own = sorted((one for one in results if one.seed == seed), key=lambda one: one.fold)
    trials = [one.trials[USUAL] for one in own]
    returns = np.concatenate([np.array(one.log_returns) for one in trials])
    targets = np.concatenate(
        [np.array([np.nan if each is None else each for each in one.targets]) for one in trials]
    )
    return expect(np.exp(np.concatenate(([0.0], np.cumsum(returns)))), targets)
