"""One model of members that were trained one by one, on the same candles and the same state."""

from collections.abc import Sequence

import numpy as np

from adan_core.config.settings import Settings
from adan_core.domain.errors import ModelError
from adan_core.domain.time import Milliseconds
from adan_core.learning.bundle import MOST_MEMBERS, ModelCard, ServiceModel, library_versions
from adan_core.learning.lessons import voting_rules


def combined_card(
    models: Sequence[ServiceModel], name: str, settings: Settings, now: Milliseconds
) -> ModelCard:
    """Return the card of a model called ``name`` that all members of ``models`` make, in their order.

    They vote by the rules of ``settings``; each keeps its own calibration. ModelError if they saw
    different candles, states or statistics, or if two members share a name.
    """
    first = models[0]
    for other in models[1:]:
        _fits(first, other)
    members = tuple(member for model in models for member in model.card.members)
    names = [member.name for member in members]
    if len(members) > MOST_MEMBERS or len(set(names)) != len(names):
        raise ModelError(
            f"the members {', '.join(names)}",
            f"two to {MOST_MEMBERS}, each of a profile of its own",
        )
    return ModelCard(
        schema_version=first.card.schema_version,
        model_id=name,
        created_at=now,
        trained_on=first.card.trained_on,
        synthetic=first.card.synthetic,
        ladder=first.card.ladder,
        feature_schema_hash=first.card.feature_schema_hash,
        data=first.card.data,
        members=members,
        rules=voting_rules(settings),
        library_versions=library_versions(),
        parent=None,
    )


def _fits(first: ServiceModel, other: ServiceModel) -> None:
    same = {
        "state": first.card.feature_schema_hash == other.card.feature_schema_hash
        and first.features == other.features,
        "candles": first.card.data == other.card.data,
        "normaliser": np.array_equal(first.normaliser.mean, other.normaliser.mean)
        and np.array_equal(first.normaliser.deviation, other.normaliser.deviation),
    }
    for what, equal in same.items():
        if not equal:
            raise ModelError(
                f"{first.model_id} and {other.model_id} with different {what}",
                f"the same {what}",
                "train them on the same data set with the same settings and seed, each --profile once",
            )
