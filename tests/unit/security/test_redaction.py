"""Secrets are taken out of what is written, and found where they should not be."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.errors import SecurityError
from adan_core.security import redaction
from adan_core.security.redaction import (
    REDACTED,
    exposed_variables,
    looks_like_secret,
    redact,
    redact_text,
    refuse_exposed_secrets,
    scan,
)
from adan_core.security.secret import Secret

CANARY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
"""The shape of an exchange's key: 64 letters and digits (this one stands in Binance's manual)."""

EXPOSURES = [
    f"api_key: {CANARY[:20]}",
    f'{{"apiKey": "{CANARY[:20]}"}}',
    f"secret={CANARY[:24]}",
    f"X-MBX-APIKEY: {CANARY}",
    f"Authorization: Bearer {CANARY[:30]}",
    f"https://discord.com/api/webhooks/123456789/{CANARY[:40]}",
    f"https://hooks.slack.com/services/T00/B00/{CANARY[:24]}",
    f"https://api.telegram.org/bot123456:{CANARY[:35]}/send",
    f"https://example.org/x?token={CANARY[:16]}&y=1",
    f"https://me:{CANARY[:12]}@example.org/",
    f"tgram://{CANARY[:20]}/123",
    f"an error came with {CANARY} in it",
    "-----BEGIN PRIVATE KEY----- MC4CAQAwBQYDK2VwBCIEIN -----END PRIVATE KEY-----",
    f"params={{'password': b'{CANARY[:14]}'}}",
    rf"{{\"api_secret\": \"{CANARY[:20]}\"}}",
]

HARMLESS = [
    "market.seed: 7",
    "content_hash: 3b1f0c9a7d5e2f4a6b8c0d1e2f3a4b5c",
    "secret: vault unlocked",
    "# api_key belongs into the keyring, never here",
    "token: null",
    "password: ${ADAN_PASSWORD}",
    "model PPO-BTC-USDT-1h-2026-01-31T09-30-00Z-0a1b2c3d4e5f sealed",
    "/home/somebody/Projects2/Adan/data/candles/BTC-USDT-1h.parquet",
    "passphrase_stdin: true",
    f"api_key: {REDACTED}",
]


@pytest.mark.parametrize("line", EXPOSURES)
def test_an_exposure_is_found_and_taken_out(line: str) -> None:
    assert looks_like_secret(line)
    redacted = redact_text(line)
    assert CANARY[:12] not in redacted
    assert "MC4CAQAw" not in redacted
    assert not looks_like_secret(redacted)


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_lines_are_let_alone(line: str) -> None:
    assert not looks_like_secret(line)


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
)
def test_a_live_secret_never_survives_wherever_it_stands(
    before: str, after: str, value: str
) -> None:
    live = Secret(f"canary{value}")
    text = redact_text(before + live.reveal() + after)
    assert live.reveal() not in text


@given(
    st.recursive(
        st.just(CANARY) | st.integers() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "note", CANARY]), inner, max_size=3)
            | st.tuples(inner)
        ),
        max_leaves=12,
    )
)
def test_nested_structures_lose_their_secrets_and_stay_json(structure: object) -> None:
    assert CANARY not in json.dumps(redact(structure))


def test_values_under_sensitive_names_go_whatever_they_are() -> None:
    redacted = redact(
        {"apiKey": "short", "options": {"password": 1234, "retries": 3}, "token": None}
    )
    assert redacted == {
        "apiKey": REDACTED,
        "options": {"password": REDACTED, "retries": 3},
        "token": None,
    }


def test_a_live_secret_is_hidden_in_url_and_base64_form_too() -> None:
    Secret("pa/ss&wörd-canary")
    text = redact_text("x pa%2Fss%26w%C3%B6rd-canary cGEvc3Mmd8O2cmQtY2FuYXJ5 y")
    assert text == f"x {REDACTED} {REDACTED} y"
    Secret("canary-of-16-chr")  # in base64 it ends in "==", which URLs leave out
    assert redact_text("y2FuYXJ5 Y2FuYXJ5LW9mLTE2LWNocg y") == f"y2FuYXJ5 {REDACTED} y"


def test_a_long_hostile_line_is_redacted_in_linear_time() -> None:
    for unit in ("a-", "api", "aA1", "https://hook/", "eyJ", "://", "Bearer "):
        assert redact_text(unit * 20_000)


def test_findings_name_file_and_line_but_never_the_value(tmp_path: Path) -> None:
    settings, log = tmp_path / "adan.yaml", tmp_path / "adan.jsonl"
    settings.write_text(f"market:\n  seed: 7\n  api_key: {CANARY}\n")
    log.write_text('{"event":"start"}\n' * 5 + f'{{"event":"x","key":"{CANARY}"}}\n')
    found = scan([settings, log, tmp_path / "absent.yaml"])
    assert [(finding.file, finding.line) for finding in found] == [(settings, 3), (log, 6)]
    with pytest.raises(SecurityError) as caught:
        refuse_exposed_secrets([settings, log], {})
    assert "adan.yaml line 3" in str(caught.value)
    assert CANARY[:8] not in str(caught.value)


def test_of_a_large_file_the_end_is_read_with_its_own_line_numbers(tmp_path: Path) -> None:
    log = tmp_path / "adan.jsonl"
    log.write_text(f"secret={CANARY}\n" + "quiet\n" * 1000 + f"secret={CANARY}\n")
    assert [finding.line for finding in scan([log], tail=500)] == [1002]
    assert [finding.line for finding in scan([log], tail=None)] == [1, 1002]


def test_archives_are_read_in_a_full_scan(tmp_path: Path) -> None:
    archive = tmp_path / "adan-1.jsonl.gz"
    archive.write_bytes(gzip.compress(f"a\nsecret={CANARY}\n".encode()))
    assert scan([archive]) == ()
    assert [finding.line for finding in scan([archive], tail=None)] == [2]


def test_what_cannot_be_searched_is_not_called_clean(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="cannot be searched"):
        scan([tmp_path])


def test_keys_in_the_environment_are_found_by_name_only() -> None:
    environment = {"ADAN_HOME": "/home/me/adan", "ADAN_API_SECRET": CANARY, "OTHER": CANARY}
    assert exposed_variables(environment) == ("ADAN_API_SECRET",)


def test_clean_files_start(tmp_path: Path) -> None:
    settings = tmp_path / "adan.yaml"
    settings.write_text("\n".join(HARMLESS))
    refuse_exposed_secrets([settings], {"ADAN_HOME": str(tmp_path)})


def test_the_shipped_settings_are_clean() -> None:
    shipped = sorted((Path(redaction.__file__).parents[2] / "configs").glob("*.yaml"))
    assert shipped
    assert scan(shipped) == ()
