"""One model of members that were trained one by one, on the same candles, the same state, the same terms."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from adan_core.config.settings import Settings
from adan_core.domain.errors import ModelError
from adan_core.domain.time import Milliseconds
from adan_core.learning.bundle import (
    MOST_MEMBERS,
    ModelCard,
    Origin,
    ServiceModel,
    library_versions,
)
from adan_core.learning.lessons import voting_rules

# What members have in common, or their votes would be about different trades: what trading costs and
# allows. How each learns (its reward, its algorithm, its profile) is its own.
_SHARED: Final = (
    "account.short",
    "behaviour",
    "costs",
    "learning.action",
    "learning.exposure_cap",
    "learning.exposures",
    "learning.sizing",
    "risk",
    "rules",
)


def combined_card(
    models: Sequence[ServiceModel],
    parents: Sequence[Origin],
    name: str,
    settings: Settings,
    now: Milliseconds,
) -> ModelCard:
    """Return the card of a model called ``name`` that all members of ``models`` make, in their order.

    ``parents`` say which content of each was taken. They vote by the rules of ``settings``, at the
    costs that they learnt under; each keeps its own calibration. ModelError if they saw different
    candles, states or statistics, learnt under other terms, or if two members share a name.
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
        rules=replace(voting_rules(settings), cost_rate=first.card.rules.cost_rate),
        library_versions=library_versions(),
        parent=None,
        parents=tuple(parents),
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
    own = dict(_terms(first.card.members[0].settings))
    for model in (first, other):
        for member in model.card.members:
            found = dict(_terms(member.settings))
            for key in sorted(own.keys() | found.keys()):
                if own.get(key) != found.get(key):
                    raise ModelError(
                        f"{model.model_id}, member {member.name}, with {key} {found.get(key)}",
                        f"{own.get(key)}, as {first.model_id} learnt",
                        "train them under the same settings: they will trade under the same ones",
                    )


def _terms(settings: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield the settings that members must share, by their full keys."""
    for place in _SHARED:
        found: object = settings
        for part in place.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        yield from _leaves(place, found)


def _leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    else:
        yield key, value
