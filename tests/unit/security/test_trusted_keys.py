"""Whose signatures count is known without unlocking anything."""

from pathlib import Path

import pytest

from adan_core.domain.errors import SecurityError
from adan_core.security import shipped_key
from adan_core.security.operator_key import trusted_keys
from adan_core.security.public_keys import write_public_key
from adan_core.security.shipped_key import shipped_public_key


def test_the_shipped_key_is_always_trusted_and_the_operator_s_once_it_exists(
    tmp_path: Path,
) -> None:
    file = tmp_path / "operator_public_key.json"
    assert trusted_keys(file) == {"shipped": shipped_public_key()}
    write_public_key(file, b"o" * 32)
    assert trusted_keys(file) == {"shipped": shipped_public_key(), "operator": b"o" * 32}


def test_a_damaged_operator_key_is_said_not_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "operator_public_key.json"
    file.write_text("{}")
    with pytest.raises(SecurityError, match="not a public key"):
        trusted_keys(file)


def test_an_installation_without_its_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped_key, "FILE", "absent.json")
    with pytest.raises(SecurityError, match="install ADAN again"):
        shipped_public_key()
