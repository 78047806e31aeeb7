"""A sealed bundle is whole, signed by somebody trusted, and holds data only."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.errors import ModelError
from adan_core.security.sealing import MANIFEST, SIGNATURE, read_sealed, seal, verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUSTED = {
    "shipped": Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw(),
    "operator": KEY.public_key().public_bytes_raw(),
}
METADATA = {"model": "ppo", "seed": 7, "versions": {"torch": "2.13.0"}}


def _bundle(folder: Path, key: Ed25519PrivateKey = KEY) -> Path:
    (folder / "members").mkdir(parents=True)
    (folder / "members" / "policy.safetensors").write_bytes(bytes(range(64)))
    (folder / "normaliser.json").write_text('{"mean":[0.0]}')
    seal(folder, key, METADATA)
    return folder


def _resign(folder: Path, key: Ed25519PrivateKey = KEY, **changes: object) -> None:
    """Write another manifest and sign it properly, as only the holder of the key can."""
    data = json.dumps(json.loads((folder / MANIFEST).read_bytes()) | changes).encode()
    (folder / MANIFEST).write_bytes(data)
    signature = json.loads((folder / SIGNATURE).read_bytes())
    signature["signature"] = key.sign(b"adan sealed bundle, schema version 1\n" + data).hex()
    text = json.dumps(signature, sort_keys=True, separators=(",", ":")) + "\n"
    (folder / SIGNATURE).write_text(text)


def test_a_sealed_bundle_verifies_and_names_its_signer(tmp_path: Path) -> None:
    manifest = verify(_bundle(tmp_path / "b"), TRUSTED)
    assert manifest.signer == "operator"
    assert manifest.metadata == METADATA
    assert [(file.path, file.size) for file in manifest.files] == [
        ("members/policy.safetensors", 64),
        ("normaliser.json", 14),
    ]


def test_the_shipped_key_is_named_as_such(tmp_path: Path) -> None:
    trusted = {"shipped": KEY.public_key().public_bytes_raw()}
    assert verify(_bundle(tmp_path / "b"), trusted).signer == "shipped"


@given(data=st.data())
def test_changing_any_byte_of_any_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = _bundle(tmp_path_factory.mktemp("bundle") / "b")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ModelError):
        verify(folder, TRUSTED)


@given(data=st.data())
def test_a_file_cut_or_lengthened_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = _bundle(tmp_path_factory.mktemp("bundle") / "b")
    path = data.draw(st.sampled_from(sorted(p for p in folder.rglob("*") if p.is_file())))
    content = path.read_bytes()
    keep = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(data.draw(st.sampled_from([content[:keep], content + b" "])))
    with pytest.raises(ModelError):
        verify(folder, TRUSTED)


def test_a_stranger_is_refused_by_the_key_s_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nobody here trusts"):
        verify(_bundle(tmp_path / "b", STRANGER), TRUSTED)


def test_a_stranger_claiming_the_operator_s_key_is_refused(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b", STRANGER)
    signature = json.loads((folder / SIGNATURE).read_text())
    signature["public_key"] = TRUSTED["operator"].hex()
    text = json.dumps(signature, sort_keys=True, separators=(",", ":")) + "\n"
    (folder / SIGNATURE).write_text(text)
    with pytest.raises(ModelError, match="signature does not fit"):
        verify(folder, TRUSTED)


@pytest.mark.parametrize("gone", [MANIFEST, SIGNATURE])
def test_an_unsealed_folder_is_refused(tmp_path: Path, gone: str) -> None:
    folder = _bundle(tmp_path / "b")
    (folder / gone).unlink()
    with pytest.raises(ModelError, match="not sealed"):
        verify(folder, TRUSTED)


def test_missing_and_extra_files_are_refused_by_name(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    (folder / "extra.json").write_text("{}")
    (folder / "normaliser.json").unlink()
    with pytest.raises(ModelError, match=r"not listed: extra\.json; missing: normaliser\.json"):
        verify(folder, TRUSTED)


def test_a_file_too_many_alone_and_a_file_missing_alone_are_refused(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    (folder / "extra.json").write_text("{}")
    with pytest.raises(ModelError, match=r"not listed: extra\.json$|not listed: extra\.json;"):
        verify(folder, TRUSTED)
    (folder / "extra.json").unlink()
    (folder / "normaliser.json").unlink()
    with pytest.raises(ModelError, match=r"missing: normaliser\.json"):
        verify(folder, TRUSTED)


def test_links_and_devices_are_refused_even_with_the_sealed_content(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    outside = tmp_path / "elsewhere.json"
    (folder / "normaliser.json").rename(outside)
    (folder / "normaliser.json").symlink_to(outside)
    with pytest.raises(ModelError, match="link or a device"):
        verify(folder, TRUSTED)
    (folder / "normaliser.json").unlink()
    os.mkfifo(folder / "normaliser.json")
    with pytest.raises(ModelError, match="link or a device"):
        verify(folder, TRUSTED)


def test_a_linked_manifest_is_refused(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    (folder / MANIFEST).rename(tmp_path / "m.json")
    (folder / MANIFEST).symlink_to(tmp_path / "m.json")
    with pytest.raises(ModelError, match="cannot be opened"):
        verify(folder, TRUSTED)


@pytest.mark.parametrize(
    "path",
    ["../outside.json", "/etc/passwd.json", "a/../../b.json", "a//b.json", "", ".", MANIFEST],
)
def test_paths_out_of_the_folder_are_refused_even_when_signed(tmp_path: Path, path: str) -> None:
    folder = _bundle(tmp_path / "b")
    _resign(folder, files=[{"path": path, "sha256": "0" * 64, "size": 0}])
    with pytest.raises(ModelError, match="lists"):
        verify(folder, TRUSTED)


def test_a_file_listed_under_a_number_is_refused_even_when_signed(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    _resign(folder, files=[{"path": 5, "sha256": "0" * 64, "size": 0}])
    with pytest.raises(ModelError, match="without a name"):
        verify(folder, TRUSTED)


@pytest.mark.parametrize("part", [MANIFEST, SIGNATURE])
def test_lists_in_lists_without_end_are_refused(tmp_path: Path, part: str) -> None:
    folder = _bundle(tmp_path / "b")
    (folder / part).write_bytes(b"[" * 200_000)
    with pytest.raises(ModelError, match=r"is not JSON|signature does not fit"):
        verify(folder, TRUSTED)


def test_a_newer_schema_is_refused_even_when_signed(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    _resign(folder, schema_version=2)
    with pytest.raises(ModelError, match="schema version 2"):
        verify(folder, TRUSTED)


def test_pickles_and_archives_are_refused_whatever_they_are_called(tmp_path: Path) -> None:
    for number, name in enumerate(("a.json", "weights.safetensors")):
        folder = tmp_path / f"p{number}"
        folder.mkdir()
        (folder / name).write_bytes(pickle.dumps({"weights": [1, 2]}))
        with pytest.raises(ModelError, match=f"{name} is a pickle"):
            seal(folder, KEY, {})
    folder = tmp_path / "z"
    folder.mkdir()
    with zipfile.ZipFile(folder / "model.json", "w") as archive:
        archive.writestr("data.pkl", b"x")
    with pytest.raises(ModelError, match=r"model\.json is a zip archive"):
        seal(folder, KEY, {})


def test_a_safetensors_header_that_begins_like_a_pickle_is_no_pickle(tmp_path: Path) -> None:
    """Its first eight bytes are the header's length, and 0x0480 is a length like any other."""
    header = b"{" + b" " * (0x0480 - 2) + b"}"
    weights = len(header).to_bytes(8, "little") + header
    assert weights.startswith(pickle.dumps(None, protocol=4)[:2])
    (tmp_path / "weights.safetensors").write_bytes(weights)
    seal(tmp_path, KEY, {})
    assert verify(tmp_path, TRUSTED).listed("weights.safetensors").size == len(weights)


@pytest.mark.parametrize("name", ["model.zip", "vecnormalize.pkl", "policy.pt", "run.py", "x"])
def test_other_formats_are_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = _bundle(tmp_path / "b")
    (folder / name).write_bytes(b"data")
    with pytest.raises(ModelError, match=f"{name} may not be in a sealed bundle"):
        verify(folder, TRUSTED)
    with pytest.raises(ModelError, match=f"{name} may not be in a sealed bundle"):
        seal(folder, KEY, {})


def test_reading_hashes_again_what_it_returns(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    manifest = verify(folder, TRUSTED)
    assert read_sealed(folder, manifest, "normaliser.json") == b'{"mean":[0.0]}'
    (folder / "normaliser.json").write_text('{"mean":[9.9]}')
    with pytest.raises(ModelError, match="altered after it was sealed"):
        read_sealed(folder, manifest, "normaliser.json")
    with pytest.raises(ModelError, match="holds no other"):
        read_sealed(folder, manifest, "other.json")


def test_sealing_again_replaces_the_seal(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b")
    (folder / "normaliser.json").write_text('{"mean":[1.0]}')
    seal(folder, KEY, {"second": True})
    assert verify(folder, TRUSTED).metadata == {"second": True}


def test_nothing_to_seal_and_nothing_there_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is empty"):
        seal(tmp_path, KEY, {})
    with pytest.raises(ModelError, match="no bundle"):
        verify(tmp_path / "absent", TRUSTED)
