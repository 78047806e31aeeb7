"""Models between machines: what was exported is what arrives; everything else leaves nothing behind."""

import io
import pickle
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adan_core.domain.errors import ModelError
from adan_core.learning import transfer
from adan_core.learning.bundle import load_bundle, seal_model
from adan_core.learning.transfer import export_bundle, import_bundle
from tests.unit.learning.test_registry import FEATURES, KEY, NORMALISER, TRUSTED, card, weights

Entry = tuple[str, bytes]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    folder = seal_model(tmp_path / "there", card(), [weights()], NORMALISER, FEATURES, KEY)
    export_bundle(folder, tmp_path / "model.tar", TRUSTED)
    return tmp_path / "model.tar"


def entries(archive: Path) -> list[Entry]:
    with tarfile.open(archive) as opened:
        return [(one.name, opened.extractfile(one).read()) for one in opened]  # type: ignore[union-attr]


def packed(folder: Path, found: list[Entry], *odd: tarfile.TarInfo) -> Path:
    path = folder / "odd.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in found:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in odd:
            archive.addfile(info)
    return path


def test_what_was_exported_arrives_whole(tmp_path: Path, exported: Path) -> None:
    model = import_bundle(exported, tmp_path / "here", TRUSTED)
    assert (model.card, model.signer) == (card(), "operator")
    assert load_bundle(tmp_path / "here" / "tiny", TRUSTED).card == card()
    assert [one.name for one in (tmp_path / "here").iterdir()] == ["tiny"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, exported: Path) -> None:
    export_bundle(tmp_path / "there" / "tiny", tmp_path / "again.tar", TRUSTED)
    assert (tmp_path / "again.tar").read_bytes() == exported.read_bytes()


def _link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def _renamed(old: str, new: str) -> Callable[[list[Entry]], list[Entry]]:
    return lambda found: [(name.replace(old, new), data) for name, data in found]


def _altered(found: list[Entry]) -> list[Entry]:
    return [
        (name, data[:-1] + bytes((data[-1] ^ 1,)) if name.endswith(".safetensors") else data)
        for name, data in found
    ]


def _without(part: str) -> Callable[[list[Entry]], list[Entry]]:
    return lambda found: [(name, data) for name, data in found if part not in name]


def _pickled(found: list[Entry]) -> list[Entry]:
    payload = pickle.dumps({"weight": [1.0]})
    return [(name, payload if name.endswith(".safetensors") else data) for name, data in found]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_altered, "was altered after it was sealed"),
        (_without("normaliser"), "missing: normaliser.json"),
        (_without("manifest.sig"), "it has no manifest.sig"),
        (_without("manifest.json"), "it has no manifest.json"),
        (_pickled, "a pickle, which can run code"),
        (lambda found: [*found, ("tiny/extra.json", b"{}")], "not listed: extra.json"),
        (lambda found: [*found, ("tiny/weights.pkl", b"x")], "may not be in a sealed model"),
        (lambda found: [*found, ("tiny/../../escaped.json", b"{}")], "out of the model's folder"),
        (lambda found: [*found, ("/tmp/escaped.json", b"{}")], "out of the model's folder"),  # noqa: S108
        (lambda found: [*found, ("lonely.json", b"{}")], "out of the model's folder"),
        (lambda found: [*found, ("tiny/model.json/in.json", b"{}")], "out of the model's folder"),
        (lambda found: [*found, ("tiny/" + "x" * 300 + ".md", b"")], "no plain name"),
        (lambda found: [*found, ("tiny/two\nlines.md", b"")], "no plain name"),
        (lambda found: [*found, ("tiny/\x1b[31mred.md", b"")], "no plain name"),
        (lambda found: [*found, ("other/model.json", b"{}")], "holds 2 folders"),
        (lambda found: [*found, found[0]], "a file twice"),
        (_renamed("tiny/", "other/"), "in a folder called other"),
        (_renamed("tiny/", ".hidden/"), "called '.hidden'"),
        (lambda _: [], "is empty"),
    ],
)
def test_anything_but_one_whole_sealed_model_is_refused_and_leaves_nothing(
    tmp_path: Path, exported: Path, change: Callable[[list[Entry]], list[Entry]], told: str
) -> None:
    odd = packed(tmp_path, change(entries(exported)))
    with pytest.raises(ModelError, match=told.replace("(", r"\(")):
        import_bundle(odd, tmp_path / "here", TRUSTED)
    assert not (tmp_path / "escaped.json").exists()
    assert not (tmp_path / "here").exists() or list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_a_link_or_a_device_is_refused(tmp_path: Path, exported: Path, kind: bytes) -> None:
    odd = packed(tmp_path, entries(exported), _link("tiny/notes.txt", kind))
    with pytest.raises(ModelError, match="a link, a folder or a device"):
        import_bundle(odd, tmp_path / "here", TRUSTED)


def test_a_huge_file_is_refused_before_it_is_read(
    tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LARGEST_ARCHIVE", 2_000)
    with pytest.raises(ModelError, match="larger than 2,000 bytes"):
        import_bundle(exported, tmp_path / "here", TRUSTED)
    # A header that promises more than the archive may hold is not believed either.
    boast = tarfile.TarInfo("tiny/model.json")
    boast.size = 1 << 40
    small = tmp_path / "small.tar"
    small.write_bytes(boast.tobuf())
    with pytest.raises(ModelError, match="holds more than 64 files, 2,000 bytes"):
        import_bundle(small, tmp_path / "here", TRUSTED)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a zip", b"\x1f\x8b\x08 gzip", b"x" * 2048])
def test_what_is_no_plain_tar_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "odd").write_bytes(data)
    with pytest.raises(ModelError, match=r"no tar file|is empty"):
        import_bundle(tmp_path / "odd", tmp_path / "here", TRUSTED)


def test_a_cut_off_archive_is_refused(tmp_path: Path, exported: Path) -> None:
    whole = exported.read_bytes()
    exported.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError):
        import_bundle(exported, tmp_path / "here", TRUSTED)
    assert not (tmp_path / "here").exists()


def test_a_signer_nobody_trusts_is_refused_with_how_to_trust(
    tmp_path: Path, exported: Path
) -> None:
    stranger = {"operator": Ed25519PrivateKey.generate().public_key().public_bytes_raw()}
    with pytest.raises(ModelError, match="a key nobody here trusts") as told:
        import_bundle(exported, tmp_path / "here", stranger)
    assert "adan-core models import --help" in told.value.remedy
    alice = stranger | {"alice": TRUSTED["operator"]}
    assert import_bundle(exported, tmp_path / "here", alice).signer == "alice"


def test_a_name_that_is_taken_is_refused(tmp_path: Path, exported: Path) -> None:
    import_bundle(exported, tmp_path / "here", TRUSTED)
    with pytest.raises(ModelError, match="is here already"):
        import_bundle(exported, tmp_path / "here", TRUSTED)


def test_several_imports_at_once_take_the_model_in_once(tmp_path: Path, exported: Path) -> None:
    def take_in(_: int) -> str:
        try:
            return import_bundle(exported, tmp_path / "here", TRUSTED).model_id
        except ModelError as error:
            return error.found

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(take_in, range(4)))
    assert told == ["a model called tiny is here already"] * 3 + ["tiny"]
    assert load_bundle(tmp_path / "here" / "tiny", TRUSTED).card == card()


def test_a_model_that_does_not_load_is_not_exported(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "there" / "tiny" / "features.yaml").write_text("altered")
    with pytest.raises(ModelError, match="altered"):
        export_bundle(tmp_path / "there" / "tiny", tmp_path / "no.tar", TRUSTED)
    assert not (tmp_path / "no.tar").exists()
