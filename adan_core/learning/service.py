"""Which model serves which market of a home, how one comes into service, and who follows when it fails."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adan_core.domain.errors import AdanError, ModelError
from adan_core.learning.bundle import ModelCard, ServiceModel
from adan_core.learning.gates import Gate
from adan_core.learning.lifecycle import IN_SERVICE, Cause, Lifecycle, ModelState, Step
from adan_core.learning.registry import ModelRegistry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_RAISED = {ModelState.PAPER: 1, ModelState.LIVE: 2}


@dataclass(frozen=True, slots=True)
class Fall:
    """What a model's leaving service came to: the step, and who follows (None: flat)."""

    step: Step
    successor: ServiceModel | None


def market_of(card: ModelCard) -> str:
    """Return the market a model is made for: the kind of candles and the state it reads."""
    return market_name(card.feature_schema_hash, synthetic=card.synthetic)


def market_name(schema_hash: str, *, synthetic: bool) -> str:
    """Return the name under which models of one kind of candles and one state compete."""
    return f"{'simulated' if synthetic else 'real'}:{schema_hash}"


class ServiceBook:
    """The registry and the lifecycle together; one model of a market is in service at a time."""

    def __init__(self, registry: ModelRegistry, lifecycle: Lifecycle) -> None:
        self.registry = registry
        self.lifecycle = lifecycle

    def state(self, model_id: str) -> ModelState:
        """Return a model's state; ModelError if there is none of that name."""
        return self.lifecycle.state(model_id, self.registry.digest(model_id))

    def in_service(self, market: str) -> ServiceModel | None:
        """Return the model in service: a live one before one on paper, the newest of each."""
        numbers = {(step.model_id, step.model_digest): step.number for step in self._steps()}
        found: list[tuple[int, int, ServiceModel]] = []
        for model, state in self._usable(market):
            if state in IN_SERVICE:
                pair = (model.model_id, self.registry.digest(model.model_id))
                found.append((_RAISED[state], numbers.get(pair, 0), model))
        return max(found, key=lambda one: one[:2])[2] if found else None

    def last_fallen(self, market: str) -> tuple[ServiceModel, Step] | None:
        """Return the model that left this market's service last and was followed by none, and why."""
        if self.in_service(market) is not None:
            return None
        for step in reversed(self._steps()):
            if step.market == market and step.before in IN_SERVICE:
                try:
                    return self.registry.load(step.model_id), step
                except AdanError:
                    continue  # removed or damaged since: an older one reads the same state
        return None

    def promote(
        self,
        model: ServiceModel,
        after: ModelState,
        gates: tuple[Gate, ...],
        key: "Ed25519PrivateKey",
    ) -> tuple[Step, ...]:
        """Put ``model`` on paper or live, signed; those it succeeds retire. Returns every step.

        ModelError if it is there already.
        """
        digest, market = self.registry.digest(model.model_id), market_of(model.card)
        # Of two promotions at once each would else see the other's model in service, and retire it.
        with self.lifecycle.alone():
            raised = self.lifecycle.record(
                model.model_id,
                digest,
                market,
                after,
                Cause.PROMOTED,
                "passed its gates",
                gates,
                key,
            )
            succeeded = [
                self._lower(other, Cause.SUCCEEDED, f"succeeded by {model.model_id}")
                for other, state in self._usable(market)
                if other.model_id != model.model_id and state is after
            ]
        return (raised, *succeeded)

    def step_down(self, model: ServiceModel, cause: Cause, why: str) -> Fall:
        """Take ``model`` out of service and put back the one before it, if any can be: else flat.

        ModelError if it is retired already. A candidate that was named to trade can be taken out, too.
        """
        with self.lifecycle.alone():
            state = self.state(model.model_id)
            if state is ModelState.RETIRED:
                raise ModelError(f"model {model.model_id} is {state}", "one that may decide")
            successor = self.successor(model)
            step = self._lower(model, cause, why)
            if successor is not None and self.state(successor.model_id) not in IN_SERVICE:
                self.lifecycle.record(
                    successor.model_id,
                    self.registry.digest(successor.model_id),
                    market_of(successor.card),
                    ModelState.PAPER,
                    Cause.RESTORED,
                    f"{model.model_id} was {cause}",
                )
        return Fall(step, successor)

    def successor(self, model: ServiceModel) -> ServiceModel | None:
        """Return who follows ``model``: its parent, else who served before it; None: nobody can.

        Only one that was in service before, reads the same market, loads, and did not fail itself.
        """
        market = market_of(model.card)
        before = [step.model_id for step in reversed(self._steps()) if step.market == market]
        shipped = list(self.registry.shipped_digests())
        for name in (model.card.parent, *before, *shipped):
            if name is None or name == model.model_id:
                continue
            try:
                candidate = self.registry.load(name)
                digest = self.registry.digest(name)
            except AdanError:
                continue  # removed, damaged or untrusted: not one to fall back on
            if (
                market_of(candidate.card) == market
                and self.lifecycle.earned(name, digest)
                and not self._failed(name, digest)
            ):
                return candidate
        return None

    def _failed(self, model_id: str, digest: str) -> bool:
        history = self.lifecycle.history(model_id, digest)
        return bool(history) and history[-1].cause in {Cause.DEMOTED, Cause.ROLLED_BACK}

    def _lower(self, model: ServiceModel, cause: Cause, why: str) -> Step:
        digest = self.registry.digest(model.model_id)
        return self.lifecycle.record(
            model.model_id, digest, market_of(model.card), ModelState.RETIRED, cause, why
        )

    def _usable(self, market: str) -> list[tuple[ServiceModel, ModelState]]:
        found = []
        for listed in self.registry.listing():
            if not listed.refused:
                model = self.registry.load(listed.model_id)
                if market_of(model.card) == market:
                    found.append((model, self.state(listed.model_id)))
        return found

    def _steps(self) -> tuple[Step, ...]:
        return self.lifecycle.steps()
