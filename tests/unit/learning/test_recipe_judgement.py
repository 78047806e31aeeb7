"""A walk-forward becomes the judgement of a sealed model only if that was learnt in the same way."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from adan_core.domain.errors import ModelError
from adan_core.learning.bundle import ModelCard, ServiceModel
from adan_core.learning.judgements import Judgement
from adan_core.learning.recipe_judgement import judgement_of, require_recipe
from adan_core.learning.runs import DataRecord, Span
from adan_core.learning.test_ledger import recipe_of
from tests.judged import Judged, made_walk_forward
from tests.unit.learning.test_registry import MEMBER, NORMALISER, SPEC, card

STEPS = 1_000


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return made_walk_forward(tmp_path_factory.mktemp("home"))


def model(judged: Judged, **changes: object) -> ServiceModel:
    """Return a model that was learnt on the first candles of what was judged."""
    span = Span(0, 1, 1_000)
    record = DataRecord(
        symbol="BTC/SIM",
        timeframe="1h",
        synthetic=True,
        series_hash="",
        training_hash=judged.series.slice(0, 1_000).content_hash,
        training=span,
        validation=span,
        test=span,
    )
    member = replace(MEMBER, steps=STEPS, settings=judged.settings.model_dump(mode="json"))
    made: ModelCard = replace(card(), members=(member,), data=(record,))
    for name, value in changes.items():
        made = replace(made, **{name: value})  # type: ignore[arg-type]
    return ServiceModel(made, (), NORMALISER, SPEC, "operator", None)


def recipe(judged: Judged, name: str = "swing") -> str:
    return recipe_of(judged.settings, card().feature_schema_hash, [name])


def test_one_that_was_learnt_just_so_may_be_judged(judged: Judged) -> None:
    require_recipe(model(judged), recipe(judged), STEPS, judged.series)


def rollout(judged: Judged) -> int:
    learning = judged.settings.learning
    return learning.copies * learning.steps_per_copy


def test_steps_that_end_in_the_same_rollout_are_the_same_training(judged: Judged) -> None:
    member = replace(model(judged).card.members[0], steps=rollout(judged))
    own = model(judged, members=(member,))
    require_recipe(own, recipe(judged), 1, judged.series)
    require_recipe(own, recipe(judged), rollout(judged), judged.series)
    longer = model(judged, members=(replace(member, steps=2 * rollout(judged)),))
    with pytest.raises(ModelError, match="was learnt by recipe"):
        require_recipe(longer, recipe(judged), rollout(judged), judged.series)


def test_one_that_was_learnt_otherwise_may_not(judged: Judged) -> None:
    own = model(judged)
    with pytest.raises(ModelError, match="was learnt by recipe"):
        require_recipe(own, recipe(judged, "scalper"), STEPS, judged.series)
    with pytest.raises(ModelError, match="in 1,000 steps"):
        require_recipe(own, recipe(judged), STEPS + 1, judged.series)
    with pytest.raises(ModelError, match="to other candles than these"):
        require_recipe(own, recipe(judged), STEPS, judged.series.slice(1, len(judged.series)))
    settings = judged.settings.model_dump(mode="json")
    one = replace(MEMBER, steps=STEPS, settings=settings)
    pair = (one, replace(one, name="scalper"))
    both = model(judged, members=pair)
    together = recipe_of(judged.settings, card().feature_schema_hash, ["scalper", "swing"])
    require_recipe(both, together, STEPS, judged.series)
    with pytest.raises(ModelError, match="learnt by recipe"):
        require_recipe(both, recipe(judged), STEPS, judged.series)
    other = model(judged, members=(one, replace(pair[1], steps=STEPS + rollout(judged))))
    with pytest.raises(ModelError, match=r"recipe .* and recipe"):
        require_recipe(other, together, STEPS, judged.series)


def test_what_was_found_of_the_median_seed_is_what_is_kept(judged: Judged) -> None:
    made = judgement_of(model(judged), "d" * 64, judged.report, judged.results, 7)
    assert (made.model_id, made.model_digest, made.judged_at) == ("tiny", "d" * 64, 7)
    assert made.figures == judged.report.figures
    assert made.method == "walk-forward, 3 folds, 3 seeds"
    assert made.expectation is not None
    median = judged.report.median
    equity = judged.curves.seeds[median.seed]
    drawdown = float(np.max(1.0 - equity / np.maximum.accumulate(equity)))
    assert made.expectation.candles == len(equity) - 1
    assert made.expectation.max_drawdown >= drawdown
    assert sum(share for _, share in made.expectation.mix) == pytest.approx(1.0)
    again = msgspec.json.decode(msgspec.json.encode(made), type=Judgement)
    assert again == made
