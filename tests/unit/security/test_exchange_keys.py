"""Exchange keys go in and out whole, and are shown by four characters at most."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from adan_core.domain.errors import SecurityError, UsageError
from adan_core.security.exchange_keys import ExchangeKey, KeyManager, parse_key
from adan_core.security.sealed_file import KeyDerivation, SealedFileStore
from adan_core.security.secret import Secret
from adan_core.security.vault import SystemdCredentials, Vault

LINES = "canarykey-0123456789-wxyz\ncanarysecret-0123456789\n"


class Silent:
    """An audit trail nobody reads."""

    def record(
        self, action: str, outcome: str, details: Mapping[str, object] | None = None
    ) -> None:
        """Forget it."""


@pytest.fixture
def manager(tmp_path: Path) -> KeyManager:
    (tmp_path / "credentials").mkdir()
    cost = KeyDerivation(iterations=1, lanes=1, memory_cost=8)
    sealed = SealedFileStore(tmp_path / "s", lambda _: Secret("correct horse"), cost)
    return KeyManager(Vault((SystemdCredentials(tmp_path / "credentials"), sealed), Silent()))


@pytest.mark.parametrize("passphrase", [None, "canaryphrase"])
def test_a_key_comes_back_as_it_was_set(manager: KeyManager, passphrase: str | None) -> None:
    key = parse_key(LINES + (passphrase or ""))
    assert manager.put("okx", key) == "sealed file"
    assert manager.get("okx") == key
    assert (key.passphrase is not None) == (passphrase is not None)


def test_a_listing_shows_the_exchange_the_hint_and_the_place(manager: KeyManager) -> None:
    manager.put("okx", parse_key(LINES))
    manager.put("binance", parse_key(LINES.replace("wxyz", "abcd")))
    shown = [(one.exchange, one.hint, one.rung) for one in manager.listing()]
    assert shown == [("binance", "...abcd", "sealed file"), ("okx", "...wxyz", "sealed file")]
    assert "canary" not in repr(manager.listing())
    assert "canary" not in repr(manager.get("okx"))


def test_a_short_key_gives_no_hint() -> None:
    assert ExchangeKey(Secret("canary-15-chars"), Secret("canary-secret")).hint == "..."


def test_removing_is_final_and_says_so(manager: KeyManager) -> None:
    manager.put("okx", parse_key(LINES))
    assert manager.remove("okx") == ("sealed file",)
    with pytest.raises(SecurityError, match="no key for okx"):
        manager.get("okx")
    with pytest.raises(SecurityError, match="no key for okx"):
        manager.remove("okx")


@pytest.mark.parametrize(
    "lines",
    ["", "only-one-line-here", "short\nsecret-of-some-length", "\n".join(["long-line"] * 4)],
)
def test_what_is_no_key_is_refused_without_showing_it(lines: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_key(lines)
    assert "secret-of" not in str(caught.value)


def test_a_systemd_credential_of_two_lines_is_a_key(manager: KeyManager, tmp_path: Path) -> None:
    (tmp_path / "credentials" / "adan-exchange-kraken").write_text(LINES)
    assert manager.get("kraken") == parse_key(LINES)
    assert [(one.exchange, one.rung) for one in manager.listing()] == [
        ("kraken", "systemd credential")
    ]


def test_a_damaged_entry_is_said_without_quoting_it(manager: KeyManager, tmp_path: Path) -> None:
    path = tmp_path / "credentials" / "adan-exchange-kraken"
    for text in ('{"api_key": "canary-torn', '{"schema_version": 1, "api_key": "canary-torn"}'):
        path.write_text(text)
        with pytest.raises(SecurityError, match="damaged") as caught:
            manager.get("kraken")
        assert "canary" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    path.write_text('{"schema_version": 2}')
    with pytest.raises(SecurityError, match="schema version 2"):
        manager.get("kraken")


@pytest.mark.parametrize("name", ["", "Binance", "../x", "a b", "x" * 50, "[red]"])
def test_names_that_are_no_exchange_s_are_refused(manager: KeyManager, name: str) -> None:
    with pytest.raises(UsageError):
        manager.get(name)
