"""The registry of models as this home sees it: which keys may have signed what decides here."""

from adan_core.config.locations import Locations
from adan_core.domain.time import Clock
from adan_core.learning.lifecycle import Lifecycle
from adan_core.learning.registry import ModelRegistry, shipped_models
from adan_core.learning.service import ServiceBook
from adan_core.security.operator_key import trusted_keys


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
