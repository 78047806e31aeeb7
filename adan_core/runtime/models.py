"""The models as this home sees them: whose signature counts, who is in service, what is expected of it."""

import msgspec

from adan_core.config.locations import Locations
from adan_core.domain.errors import AdanError
from adan_core.domain.time import Clock
from adan_core.learning.bundle import ModelCard, ServiceModel
from adan_core.learning.expectation import Expectation
from adan_core.learning.judgements import judgements_of
from adan_core.learning.lifecycle import Cause, Lifecycle, ModelState
from adan_core.learning.registry import ModelRegistry, shipped_models
from adan_core.learning.runs import RunRecord
from adan_core.learning.service import ServiceBook, market_name, market_of
from adan_core.runtime.watched import Judged
from adan_core.security.audit import AuditTrail
from adan_core.security.operator_key import trusted_keys

_EXPECTATION = "expectation"


def open_registry(locations: Locations) -> ModelRegistry:
    """Return the operator's models and the shipped ones; no secret is unlocked for it."""
    keys = trusted_keys(locations.operator_public_key, locations.trusted_keys)
    return ModelRegistry(locations.models, shipped_models(), keys)


def open_service(locations: Locations, clock: Clock) -> ServiceBook:
    """Return the registry with what became of each model; no secret is unlocked for it."""
    registry = open_registry(locations)
    keys = trusted_keys(locations.operator_public_key)
    lifecycle = Lifecycle(locations.lifecycle, keys, registry.shipped_digests(), clock)
    return ServiceBook(registry, lifecycle)


def parent_of(locations: Locations, clock: Clock, record: RunRecord | ModelCard) -> str | None:
    """Return the model in service on the market that was learnt from; None if there is none."""
    made = any(data.synthetic for data in record.data)
    synthetic = record.synthetic if isinstance(record, ModelCard) else made
    market = market_name(record.feature_schema_hash, synthetic=synthetic)
    serving = open_service(locations, clock).in_service(market)
    return None if serving is None else serving.model_id


def judged(locations: Locations, registry: ModelRegistry, model: ServiceModel) -> Judged:
    """Return ``model`` with what its newest judgement, else the one in its bundle, lets one expect."""
    digest = registry.digest(model.model_id)
    keys = trusted_keys(locations.operator_public_key)
    try:
        kept = judgements_of(locations.evaluations, model.model_id, digest, keys)
    except AdanError as error:
        return Judged(model, digest, None, f"no band: {error}")
    for judgement in kept:
        if judgement.expectation is not None:
            return Judged(model, digest, judgement.expectation, "")
    if model.evaluation is not None and _EXPECTATION in model.evaluation:
        try:
            own = msgspec.convert(model.evaluation[_EXPECTATION], Expectation, strict=False)
        except msgspec.ValidationError as error:
            return Judged(model, digest, None, f"no band: its evaluation is odd ({error})")
        return Judged(model, digest, own, "")
    return Judged(
        model, digest, None, "no band: no judgement of it is kept, so it is never demoted"
    )


class BookSuccession:
    """A ``watched.Succession`` that reads and writes the lifecycle of this home's models."""

    def __init__(
        self, locations: Locations, book: ServiceBook, serving: ServiceModel, audit: AuditTrail
    ) -> None:
        self._locations = locations
        self._book = book
        self._serving = serving
        self._audit = audit
        self._seen = self._stamp()

    def left(self) -> str:
        """Return why the model has left service by another hand; empty while it has not."""
        stamp = self._stamp()
        if stamp == self._seen:
            return ""
        self._seen = stamp
        registry = self._book.registry
        history = self._book.lifecycle.history(
            self._serving.model_id, registry.digest(self._serving.model_id)
        )
        last = history[-1] if history else None
        if last is None or last.after is not ModelState.RETIRED or last.cause is Cause.SUCCEEDED:
            return ""  # one that another succeeds goes on until the next start
        return last.why

    def demote(self, why: str) -> Judged | None:
        """Take the model out of service, write it down, and return who follows; None: nobody."""
        fall = self._book.step_down(self._serving, Cause.DEMOTED, why)
        follower = fall.successor
        self._audit.record(
            "model.demoted",
            "done",
            {
                "model": self._serving.model_id,
                "why": why,
                "successor": None if follower is None else follower.model_id,
            },
        )
        self._seen = self._stamp()
        return self._followed_by(follower)

    def follower(self) -> Judged | None:
        """Return who is in service now."""
        return self._followed_by(self._book.in_service(market_of(self._serving.card)))

    def _followed_by(self, model: ServiceModel | None) -> Judged | None:
        if model is None:
            return None
        self._serving = model
        return judged(self._locations, self._book.registry, model)

    def _stamp(self) -> int:
        try:
            return self._locations.lifecycle.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
