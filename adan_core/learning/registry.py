"""The registry of sealed models: what may decide is whole, signed, and made for this very state."""

import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import AdanError, ModelError
from adan_core.domain.snapshot import ModelSummary
from adan_core.domain.time import Milliseconds
from adan_core.learning.inference import Network, NumpyPolicy
from adan_core.learning.runs import DataRecord
from adan_core.resilience.files import private_folder, write_atomically
from adan_core.security.sealing import Manifest, read_sealed, seal, verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MODEL_SCHEMA_VERSION = 1

_CARD = "model.json"
_WEIGHTS = "weights.safetensors"
_NORMALISER = "normaliser.json"
_FEATURES = "features.yaml"
_EVALUATION = "evaluation.json"
_LIBRARIES = ("numpy", "torch", "stable-baselines3", "gymnasium", "numba", "safetensors")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and where it comes from.

    ``data`` says which candles it was trained and selected on, ``validation_score`` its net
    log-return per 1000 candles on the validation part, ``settings`` are those of its run, resolved.
    """

    schema_version: int
    model_id: str
    algorithm: str
    created_at: Milliseconds
    trained_on: str
    synthetic: bool
    ladder: tuple[str, ...]
    feature_schema_hash: str
    exposures: tuple[float, ...]
    data: tuple[DataRecord, ...]
    settings: dict[str, Any]
    seed: int
    steps: int
    selected_at: int
    validation_score: float
    library_versions: dict[str, str]
    parent: str | None

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """The ladder, parsed."""
        return tuple(Timeframe.parse(text) for text in self.ladder)


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
    policy: NumpyPolicy
    normaliser: Normaliser
    features: FeatureSet
    signer: str
    evaluation: dict[str, Any] | None

    @property
    def model_id(self) -> str:
        """The id stored with every decision."""
        return self.card.model_id

    def summary(self) -> ModelSummary:
        """Return what the screen shows of it."""
        return ModelSummary(
            self.card.model_id, self.signer, self.card.trained_on, self.card.synthetic
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """One model of a listing: usable, or ``refused`` with the reason."""

    model_id: str
    created_at: Milliseconds | None
    trained_on: str
    signer: str
    shipped: bool
    refused: str


def library_versions() -> dict[str, str]:
    """Return the versions that a training's bits depend on."""
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "adan": metadata.version("adan"), **versions}


def shipped_models() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(str(resources.files("adan_core"))) / "shipped_models"


def seal_model(
    folder: Path,
    card: ModelCard,
    weights: Mapping[str, NDArray[np.float32]],
    normaliser: Normaliser,
    features: str,
    key: "Ed25519PrivateKey",
    evaluation: Mapping[str, Any] | None = None,
) -> Path:
    """Write and sign a bundle under ``folder`` and return its path; ModelError if the id is taken.

    It is made beside its place and moved there whole. ``features`` is the feature file's text.
    """
    from safetensors.numpy import save

    target = folder / card.model_id
    if target.exists():
        raise ModelError(f"a model called {card.model_id}", "an id of its own")
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
    write_atomically(workshop / _WEIGHTS, save({k: np.array(v) for k, v in weights.items()}))
    write_atomically(workshop / _NORMALISER, msgspec.json.encode(stored))
    write_atomically(workshop / _FEATURES, features.encode())
    write_atomically(workshop / _CARD, msgspec.json.format(msgspec.json.encode(card)))
    if evaluation is not None:
        write_atomically(workshop / _EVALUATION, msgspec.json.encode(evaluation))
    seal(workshop, key, {"kind": "model", "model_id": card.model_id})
    workshop.rename(target)
    return target


class ModelRegistry:
    """The operator's models and the shipped ones; ``trusted`` are the public keys that may sign."""

    def __init__(self, models: Path, shipped: Path, trusted: Mapping[str, bytes]) -> None:
        self._models = models
        self._shipped = shipped
        self._trusted = trusted

    def listing(self) -> tuple[Listed, ...]:
        """Return every model found, the newest first, refused ones with their reason."""
        found = [self._listed(folder) for folder in self._folders()]
        return tuple(sorted(found, key=lambda model: -(model.created_at or 0)))

    def load(self, model_id: str, schema_hash: str | None = None) -> ServiceModel:
        """Return the model called ``model_id``.

        ModelError, with the reason, if there is none, if it is unsigned or altered, if its payload
        is not what it must be, or if it reads another state than ``schema_hash`` (when given).
        """
        for folder in self._folders():
            if folder.name == model_id:
                return self._load(folder, schema_hash)
        known = ", ".join(model.model_id for model in self.listing()[:5]) or "none yet"
        raise ModelError(f"no model called {model_id}", known, "see `adan-core models list`")

    def default(self, schema_hash: str) -> ServiceModel:
        """Return the newest usable model that reads ``schema_hash``, the operator's own first.

        ModelError, naming the refused ones, if there is none.
        """
        refused: list[str] = []
        for listed in sorted(self.listing(), key=lambda model: model.shipped):
            if listed.refused:
                refused.append(f"{listed.model_id} ({listed.refused})")
                continue
            try:
                return self.load(listed.model_id, schema_hash)
            except ModelError as error:
                refused.append(f"{listed.model_id} ({error.found})")
        raise ModelError(
            "no model reads this market's state" + "".join(f"; {text}" for text in refused),
            "a model made for these timeframes and features",
            "train one with `adan-core train`",
        )

    def _folders(self) -> Iterator[Path]:
        for root in (self._models, self._shipped):
            if root.is_dir():
                for folder in sorted(root.iterdir()):
                    if folder.is_dir() and not folder.name.startswith((".", "_")):
                        yield folder

    def _listed(self, folder: Path) -> Listed:
        shipped = folder.parent == self._shipped
        try:
            model = self._load(folder, None)
        except AdanError as error:
            return Listed(folder.name, None, "", "", shipped, str(error))
        card = model.card
        return Listed(card.model_id, card.created_at, card.trained_on, model.signer, shipped, "")

    def _load(self, folder: Path, schema_hash: str | None) -> ServiceModel:
        manifest = verify(folder, self._trusted)
        card = _read_card(folder, manifest)
        features = FeatureSet.parse(
            read_sealed(folder, manifest, _FEATURES).decode(), f"{folder.name}/{_FEATURES}"
        )
        made_for = features.schema_hash(card.timeframes)
        if made_for != card.feature_schema_hash or schema_hash not in {None, made_for}:
            raise ModelError(
                f"model {card.model_id} reads state {card.feature_schema_hash}",
                f"{schema_hash or made_for}, the state built here",
                "train a model for these timeframes and features",
            )
        normaliser = _read_normaliser(folder, manifest, card)
        network = _read_network(folder, manifest)
        return ServiceModel(
            card=card,
            policy=NumpyPolicy(card.model_id, network, card.exposures),
            normaliser=normaliser,
            features=features,
            signer=manifest.signer,
            evaluation=_read_evaluation(folder, manifest),
        )


def _read_card(folder: Path, manifest: Manifest) -> ModelCard:
    try:
        card = msgspec.json.decode(read_sealed(folder, manifest, _CARD), type=ModelCard)
    except msgspec.DecodeError as error:
        raise ModelError(f"{folder.name}/{_CARD}: {error}", "a model's card") from error
    if card.schema_version != MODEL_SCHEMA_VERSION:
        raise ModelError(
            f"{folder.name} of schema version {card.schema_version}",
            str(MODEL_SCHEMA_VERSION),
            "use the ADAN that sealed it",
        )
    if card.model_id != folder.name:
        raise ModelError(f"model {card.model_id} in a folder called {folder.name}", "its own name")
    return card


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
    except msgspec.DecodeError as error:
        raise ModelError(f"{folder.name}/{_NORMALISER}: {error}", "a normaliser") from error
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


def _read_network(folder: Path, manifest: Manifest) -> Network:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        weights = load(read_sealed(folder, manifest, _WEIGHTS))
    except SafetensorError as error:
        raise ModelError(
            f"{folder.name}/{_WEIGHTS} is no safetensors file ({error})",
            "plain weights; pickled ones can run code and are never loaded",
        ) from error
    return Network.from_weights(weights)


def _read_evaluation(folder: Path, manifest: Manifest) -> dict[str, Any] | None:
    if all(file.path != _EVALUATION for file in manifest.files):
        return None
    try:
        return msgspec.json.decode(read_sealed(folder, manifest, _EVALUATION), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ModelError(f"{folder.name}/{_EVALUATION}: {error}", "an evaluation") from error
