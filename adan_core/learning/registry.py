"""The registry of sealed models: which there are, and which of them may decide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from adan_core.domain.errors import AdanError, ModelError
from adan_core.domain.time import Milliseconds
from adan_core.learning.bundle import ServiceModel, load_bundle, read_parts
from adan_core.learning.inference import Weights
from adan_core.learning.judgements import bundle_digest
from adan_core.learning.transfer import export_bundle, import_bundle


@dataclass(frozen=True, slots=True)
class Listed:
    """One model of a listing: usable, or ``refused`` with the reason."""

    model_id: str
    created_at: Milliseconds | None
    trained_on: str
    signer: str
    shipped: bool
    refused: str


def shipped_models() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(str(resources.files("adan_core"))) / "shipped_models"


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
        return load_bundle(self.folder(model_id), self._trusted, schema_hash)

    def folder(self, model_id: str) -> Path:
        """Return where the bundle called ``model_id`` lies; ModelError if there is none."""
        for folder in self._folders():
            if folder.name == model_id:
                return folder
        known = ", ".join(model.model_id for model in self.listing()[:5]) or "none yet"
        raise ModelError(f"no model called {model_id}", known, "see `adan-core models list`")

    def parts(self, model_id: str) -> tuple[list[Weights], str]:
        """Return each member's weights and the feature file's text; ModelError as ``load``."""
        return read_parts(self.folder(model_id), self._trusted)

    def digest(self, model_id: str) -> str:
        """Return what names the bundle's very content; ModelError if there is no such bundle."""
        return bundle_digest(self.folder(model_id))

    def export(self, model_id: str, target: Path) -> None:
        """Write a model into the file ``target``; ModelError if it does not load."""
        export_bundle(self.folder(model_id), target, self._trusted)

    def take_in(self, source: Path) -> ServiceModel:
        """Take the model in the file ``source`` in; ModelError, and nothing is kept, if it may not."""
        shipped = {folder.name for folder in self._folders() if folder.parent == self._shipped}
        return import_bundle(source, self._models, self._trusted, shipped)

    def is_shipped(self, model_id: str) -> bool:
        """Whether the bundle called ``model_id`` came with the package."""
        return self.folder(model_id).parent == self._shipped

    def shipped_digests(self) -> dict[str, str]:
        """Return the content digest of each shipped bundle, by its id."""
        return {
            folder.name: bundle_digest(folder)
            for folder in self._folders()
            if folder.parent == self._shipped
        }

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
            model = load_bundle(folder, self._trusted)
        except AdanError as error:
            return Listed(folder.name, None, "", "", shipped, str(error))
        card = model.card
        return Listed(card.model_id, card.created_at, card.trained_on, model.signer, shipped, "")
