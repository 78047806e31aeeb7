"""A model as a sealed bundle of files: what may decide is whole, signed, and made for this very state."""

import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ModelError
from adan_core.domain.snapshot import ModelSummary
from adan_core.domain.time import Milliseconds
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.inference import Weights
from adan_core.learning.member import Member, MemberCard, places_of
from adan_core.learning.networks import network_from
from adan_core.learning.runs import DataRecord
from adan_core.learning.soundness import check_card, check_normaliser
from adan_core.learning.votes import VotingRules
from adan_core.resilience.files import private_folder, write_atomically
from adan_core.security.sealing import Manifest, read_sealed, seal, verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MODEL_SCHEMA_VERSION = 2
MOST_MEMBERS: Final = 4

_CARD = "model.json"
_WEIGHTS = "weights.safetensors"
_NORMALISER = "normaliser.json"
_FEATURES = "features.yaml"
_EVALUATION = "evaluation.json"
_LIBRARIES = ("numpy", "torch", "stable-baselines3", "gymnasium", "numba", "safetensors")


@dataclass(frozen=True, slots=True)
class Origin:
    """A model whose members another one has taken over; ``digest`` names its very content."""

    model_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and where it comes from.

    ``data`` says which candles its ``members`` were trained, selected and calibrated on, ``rules``
    how they decide together. ``parent`` is the model in service that it may follow; ``parents`` are
    those that it was combined of, none where its members were learnt for it.
    """

    schema_version: int
    model_id: str
    created_at: Milliseconds
    trained_on: str
    synthetic: bool
    ladder: tuple[str, ...]
    feature_schema_hash: str
    data: tuple[DataRecord, ...]
    members: tuple[MemberCard, ...]
    rules: VotingRules
    library_versions: dict[str, str]
    parent: str | None
    parents: tuple[Origin, ...] = ()

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """The ladder, parsed."""
        return tuple(Timeframe.parse(text) for text in self.ladder)


class _Versioned(msgspec.Struct):
    schema_version: int


class _StoredNormaliser(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    mean: list[float]
    deviation: list[float]
    start_time: int
    stop_time: int
    data_hash: str
    schema_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class ServiceModel:
    """A verified model, ready to decide; ``signer`` is whose key sealed it."""

    card: ModelCard
    members: tuple[Member, ...]
    normaliser: Normaliser
    features: FeatureSet
    signer: str
    evaluation: dict[str, Any] | None

    @property
    def model_id(self) -> str:
        """The id stored with every decision."""
        return self.card.model_id

    def open_policy(self) -> EnsemblePolicy:
        """Return a policy that has not decided anything yet."""
        inputs = len(self.features.columns(self.card.timeframes)) + len(PORTFOLIO_COLUMNS)
        candle = self.card.timeframes[0].duration
        return EnsemblePolicy(self.card.model_id, self.members, self.card.rules, inputs, candle)

    def summary(self) -> ModelSummary:
        """Return what the screen shows of it."""
        return ModelSummary(
            self.card.model_id, self.signer, self.card.trained_on, self.card.synthetic
        )


def library_versions() -> dict[str, str]:
    """Return the versions that a training's bits depend on."""
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "adan": metadata.version("adan"), **versions}


def seal_model(
    folder: Path,
    card: ModelCard,
    weights: Sequence[Mapping[str, NDArray[np.float32]]],
    normaliser: Normaliser,
    features: str,
    key: "Ed25519PrivateKey",
    evaluation: Mapping[str, Any] | None = None,
) -> Path:
    """Write and sign a bundle under ``folder`` and return its path; ModelError if the id is taken.

    It is made beside its place and moved there whole. ``weights`` are each member's, ``features`` is
    the feature file's text.
    """
    from safetensors.numpy import save

    target = folder / card.model_id
    if target.exists():
        raise ModelError(
            f"a model called {card.model_id} is here already",
            "an id of its own",
            f"a finished run is sealed once: see `adan-core models show {card.model_id}`",
        )
    private_folder(folder)
    workshop = folder / f".{card.model_id}.new"
    shutil.rmtree(workshop, ignore_errors=True)  # what a crash may have left
    stored = _StoredNormaliser(
        schema_version=MODEL_SCHEMA_VERSION,
        mean=normaliser.mean.tolist(),
        deviation=normaliser.deviation.tolist(),
        start_time=normaliser.start_time,
        stop_time=normaliser.stop_time,
        data_hash=normaliser.data_hash,
        schema_hash=normaliser.schema_hash,
    )
    write_atomically(workshop / _WEIGHTS, save(_numbered(weights)))
    write_atomically(workshop / _NORMALISER, msgspec.json.encode(stored))
    write_atomically(workshop / _FEATURES, features.encode())
    write_atomically(workshop / _CARD, msgspec.json.format(msgspec.json.encode(card)))
    if evaluation is not None:
        write_atomically(workshop / _EVALUATION, msgspec.json.encode(evaluation))
    seal(workshop, key, {"kind": "model", "model_id": card.model_id})
    workshop.rename(target)
    return target


def load_bundle(
    folder: Path, trusted: Mapping[str, bytes], schema_hash: str | None = None
) -> ServiceModel:
    """Return the verified model in ``folder``; ``trusted`` are the public keys that may sign.

    ModelError, with the reason, if it is unsigned or altered, if its payload is not what it must be,
    or if it reads another state than ``schema_hash`` (when given).
    """
    manifest = verify(folder, trusted)
    card = _read_card(folder, manifest)
    features = FeatureSet.parse(_read_features(folder, manifest), f"{folder.name}/{_FEATURES}")
    made_for = features.schema_hash(card.timeframes)
    if made_for != card.feature_schema_hash or schema_hash not in {None, made_for}:
        raise ModelError(
            f"model {card.model_id} reads state {card.feature_schema_hash}",
            f"{schema_hash or made_for}, the state built here",
            "train a model for these timeframes and features",
        )
    normaliser = _read_normaliser(folder, manifest, card)
    columns = features.columns(card.timeframes)
    check_normaliser(card.model_id, normaliser, len(columns))
    return ServiceModel(
        card=card,
        members=tuple(
            Member(
                member,
                network_from(member.algorithm, weights, member.levels),
                places_of(member.columns, columns),
            )
            for member, weights in zip(
                card.members, _read_weights(folder, manifest, card), strict=True
            )
        ),
        normaliser=normaliser,
        features=features,
        signer=manifest.signer,
        evaluation=_read_evaluation(folder, manifest),
    )


def _read_card(folder: Path, manifest: Manifest) -> ModelCard:
    text = read_sealed(folder, manifest, _CARD)
    try:
        version = msgspec.json.decode(text, type=_Versioned).schema_version
        if version != MODEL_SCHEMA_VERSION:
            raise ModelError(
                f"{folder.name} of schema version {version}",
                str(MODEL_SCHEMA_VERSION),
                "use the ADAN that sealed it, or train it again",
            )
        card = msgspec.json.decode(text, type=ModelCard)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelError(f"{folder.name}/{_CARD}: {error}", "a model's card") from error
    names = [member.name for member in card.members]
    if not 1 <= len(names) <= MOST_MEMBERS or len(set(names)) != len(names):
        raise ModelError(
            f"model {card.model_id} with the members {', '.join(names) or 'none'}",
            f"one to {MOST_MEMBERS}, each with a name of its own",
        )
    if card.model_id != folder.name:
        raise ModelError(f"model {card.model_id} in a folder called {folder.name}", "its own name")
    check_card(card)
    return card


def _read_features(folder: Path, manifest: Manifest) -> str:
    try:
        return read_sealed(folder, manifest, _FEATURES).decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{folder.name}/{_FEATURES} is no text ({error})", "UTF-8") from error


def _read_normaliser(folder: Path, manifest: Manifest, card: ModelCard) -> Normaliser:
    if all(file.path != _NORMALISER for file in manifest.files):
        raise ModelError(
            f"model {card.model_id} without its normaliser",
            "the statistics of its training period",
            "train it again: other statistics would show it another market",
        )
    try:
        stored = msgspec.json.decode(
            read_sealed(folder, manifest, _NORMALISER), type=_StoredNormaliser
        )
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelError(f"{folder.name}/{_NORMALISER}: {error}", "a normaliser") from error
    if stored.schema_version != MODEL_SCHEMA_VERSION:
        raise ModelError(
            f"{folder.name}/{_NORMALISER} of schema version {stored.schema_version}",
            str(MODEL_SCHEMA_VERSION),
        )
    if stored.schema_hash != card.feature_schema_hash:
        raise ModelError(f"{card.model_id} with the normaliser of another state", "its own")
    return Normaliser(
        np.array(stored.mean, dtype=np.float64),
        np.array(stored.deviation, dtype=np.float64),
        stored.start_time,
        stored.stop_time,
        stored.data_hash,
        stored.schema_hash,
    )


def _numbered(weights: Sequence[Mapping[str, NDArray[np.float32]]]) -> dict[str, NDArray[Any]]:
    """Return the weights of all members in one mapping, each under its member's number."""
    return {
        f"{place}/{name}": np.array(values)
        for place, own in enumerate(weights)
        for name, values in own.items()
    }


def read_parts(folder: Path, trusted: Mapping[str, bytes]) -> tuple[list[Weights], str]:
    """Return each member's weights and the feature file's text; ModelError as ``load_bundle``."""
    manifest = verify(folder, trusted)
    weights = _read_weights(folder, manifest, _read_card(folder, manifest))
    return weights, _read_features(folder, manifest)


def _read_weights(folder: Path, manifest: Manifest, card: ModelCard) -> list[Weights]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        weights = load(read_sealed(folder, manifest, _WEIGHTS))
    except (SafetensorError, KeyError) as error:  # the second: of a type that numpy does not have
        raise ModelError(
            f"{folder.name}/{_WEIGHTS} is no safetensors file of float32 ({error})",
            "plain weights; pickled ones can run code and are never loaded",
        ) from error
    own: dict[str, dict[str, NDArray[np.float32]]] = {
        str(place): {} for place in range(len(card.members))
    }
    for name, values in weights.items():
        place, _, parameter = name.partition("/")
        if place not in own:
            raise ModelError(f"weights {name[:80]}", f"those of {len(own)} members, each numbered")
        own[place][parameter] = values
    return list(own.values())


def _read_evaluation(folder: Path, manifest: Manifest) -> dict[str, Any] | None:
    if all(file.path != _EVALUATION for file in manifest.files):
        return None
    try:
        return msgspec.json.decode(read_sealed(folder, manifest, _EVALUATION), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelError(f"{folder.name}/{_EVALUATION}: {error}", "an evaluation") from error
