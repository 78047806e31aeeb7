"""What a spot account cannot do: go short, or pay and receive funding."""

from adan_core.config.settings import Settings
from adan_core.domain.errors import ConfigurationError, ModelError
from adan_core.learning.bundle import ServiceModel


def refuse_what_spot_cannot(settings: Settings, model: ServiceModel) -> None:
    """Refuse a model that goes short (ModelError) and a funding rate (ConfigurationError)."""
    levels = [level for member in model.members for level in member.card.exposures]
    lowest = min(levels, default=0.0)
    if lowest < 0.0:
        raise ModelError(
            f"model {model.model_id} goes short, down to an exposure of {lowest:g}",
            "a model that is long or flat: the paper exchange is a spot market",
            "choose another with --model, or judge this one with `adan-core backtest` and `evaluate`",
        )
    if settings.costs.funding_rate != 0.0:
        raise ConfigurationError(
            f"costs.funding_rate {settings.costs.funding_rate:g}",
            "0: the paper exchange is a spot market, where holding costs nothing",
            "set it only to train and to judge",
        )
