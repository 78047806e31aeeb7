"""How candles are judged: what is done about each kind of finding, and from where on it counts."""

from typing import Annotated, Literal

from pydantic import Field

from adan_core.config.policy import Applies, Section

_NOW = Applies.NOW
RefuseOrMark = Annotated[Literal["refuse", "mark"], _NOW]
RefuseOrWarn = Annotated[Literal["refuse", "warn"], _NOW]
AnyTreatment = Annotated[Literal["refuse", "mark", "warn"], _NOW]


class Treatments(Section):
    """What happens to each kind of finding, by its code; conflicting candles are always refused."""

    time_zone: RefuseOrMark
    time_units: RefuseOrMark
    volume_units: RefuseOrMark
    not_a_price: RefuseOrMark
    ohlc: RefuseOrMark
    bad_volume: RefuseOrMark
    off_grid: RefuseOrMark
    unfinished: RefuseOrMark
    descending: RefuseOrMark
    disorder: RefuseOrMark
    time_shift: RefuseOrWarn
    duplicate: RefuseOrMark
    conflict: Annotated[Literal["refuse"], _NOW]
    outlier: AnyTreatment
    price_step: RefuseOrWarn
    volume_step: RefuseOrWarn
    stuck: AnyTreatment
    interpolated: AnyTreatment
    zero_volume: AnyTreatment
    gap: RefuseOrWarn
    outage: RefuseOrWarn
    no_trade: RefuseOrWarn
    missing: RefuseOrWarn
    stale: RefuseOrWarn
    deviation: RefuseOrWarn
    contradiction: RefuseOrWarn


class Validation(Section):
    """Checks of candles from files and exchanges."""

    treatments: Treatments
    outlier_spreads: Annotated[float, Field(gt=1.0), _NOW]
    outlier_ratio: Annotated[float, Field(gt=1.0), _NOW]
    stuck_candles: Annotated[int, Field(ge=2), _NOW]
    copied_candles: Annotated[int, Field(ge=1), _NOW]
    interpolated_candles: Annotated[int, Field(ge=2), _NOW]
    chance: Annotated[float, Field(gt=0.0, lt=0.1), _NOW]
