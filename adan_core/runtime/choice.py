"""Which model decides in a core that starts, who may decide beside it, and why none does, if so."""

from dataclasses import dataclass

from adan_core.config.locations import Locations
from adan_core.config.settings import Settings
from adan_core.data.live_venue import VenueName
from adan_core.domain.errors import ModelError, SecurityError
from adan_core.domain.time import iso
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.lifecycle import ModelState
from adan_core.learning.market import feature_set
from adan_core.learning.registry import ModelRegistry
from adan_core.learning.service import ServiceBook, market_name
from adan_core.runtime.assembly import MarketPlan, Serving
from adan_core.runtime.models import BookSuccession, judged
from adan_core.security.audit import AuditTrail


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A model, and why it trades nothing (empty: it does)."""

    model: ServiceModel
    aside: str = ""


def choose_serving(
    book: ServiceBook,
    wanted: str | None,
    challenger: str | None,
    market: MarketPlan,
    settings: Settings,
    locations: Locations,
    audit: AuditTrail,
) -> Serving:
    """Return who decides in a core and who beside it; ModelError if one may not.

    ``wanted`` and ``challenger`` are named models, the settings' challenger where none is.
    """
    choice = choose_model(book, wanted, market, settings, locations)
    name = challenger or settings.service.challenger
    rival = None
    if name is not None:
        if name == choice.model.model_id:
            raise ModelError(f"model {name} as its own challenger", "another model")
        rival = judged(
            locations,
            book.registry,
            book.registry.load(name, schema_of(market, settings, locations)),
        )
    return Serving(
        judged(locations, book.registry, choice.model),
        rival,
        None if market.replayed else BookSuccession(locations, book, choice.model, audit),
        choice.aside,
    )


def schema_of(market: MarketPlan, settings: Settings, locations: Locations) -> str:
    """Return what names the state that is built for a market."""
    return feature_set(settings, locations).schema_hash(settings.ladders[market.timeframe])


def choose_model(
    book: ServiceBook,
    wanted: str | None,
    market: MarketPlan,
    settings: Settings,
    locations: Locations,
) -> Choice:
    """Return the model asked for, else the one in service on that market.

    A model trained here never goes into service because it happens to be newer. On recorded candles
    it is the newest usable one; on an exchange's, where none is in service, it must be named or be
    the only one trained on real candles. Where the one in service was taken out and nobody followed,
    nothing is traded. ModelError if none fits, or if the one asked for is retired.
    """
    schema = schema_of(market, settings, locations)
    if market.replayed:
        registry = book.registry
        return Choice(registry.default(schema) if wanted is None else registry.load(wanted, schema))
    if wanted is not None:
        model = (
            book.registry.load(wanted, schema)
            if market.venue is None
            else choose_live_model(book.registry, wanted, market.venue, schema)
        )
        _refuse_retired(book, wanted)
        return Choice(model)
    name = market_name(schema, synthetic=market.venue is None)
    serving = book.in_service(name)
    if serving is not None:
        return Choice(serving)
    fallen = book.last_fallen(name)
    if fallen is not None:
        model, step = fallen
        return Choice(model, f"model {step.model_id} is out of service: {step.why}")
    if market.venue is not None:
        return Choice(choose_live_model(book.registry, None, market.venue, schema))
    raise ModelError(
        "no model is in service on the simulated market"
        + "".join(
            f"; {one.model_id}: {one.refused}" for one in book.registry.listing() if one.refused
        ),
        "one whose state is paper or live",
        "promote one (`adan-core models promote`), or name one with --model",
    )


def _refuse_retired(book: ServiceBook, wanted: str) -> None:
    history = book.lifecycle.history(wanted, book.registry.digest(wanted))
    if history and history[-1].after is ModelState.RETIRED:
        step = history[-1]
        raise ModelError(
            f"model {wanted} was retired on {iso(step.time)}: {step.why}",
            "one that may decide",
            "replay it (--mode replay), or promote it again with `adan-core models promote`",
        )


def choose_live_model(
    registry: ModelRegistry, wanted: str | None, venue: VenueName, schema: str
) -> ServiceModel:
    """Return the model asked for, else the only one trained on real candles; ModelError otherwise.

    One trained on synthetic candles, such as the shipped one, knows a market that does not exist: it
    is refused on an exchange's candles, and on a test venue's unless it is named.
    """
    remedy = (
        "train one on the exchange's history (`adan-core data download`, `adan-core train`), then "
        "name it with --model"
    )
    if wanted is not None:
        model = registry.load(wanted, schema)
        if model.card.synthetic and not venue.simulated:
            raise ModelError(
                f"model {wanted} was trained on synthetic candles ({model.card.trained_on})",
                f"one trained on real candles, to decide on {venue.exchange}'s",
                remedy,
            )
        return model
    fitting: list[ServiceModel] = []
    unfit: list[str] = []
    for listed in registry.listing():
        try:
            model = registry.load(listed.model_id, schema)
        except (ModelError, SecurityError) as error:
            unfit.append(f"{listed.model_id} ({error.found})")
            continue
        if model.card.synthetic:
            made_for = "made for the simulated market" if listed.shipped else "synthetic candles"
            unfit.append(f"{listed.model_id} ({made_for})")
        else:
            fitting.append(model)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ModelError(
            f"{len(fitting)} models could decide on {venue.exchange}'s candles",
            "one, named with --model",
            ", ".join(model.model_id for model in fitting),
        )
    raise ModelError(
        f"no model was trained on real candles{': ' if unfit else ''}{', '.join(unfit)}",
        f"one that was, to decide on {venue.exchange}'s",
        remedy,
    )
