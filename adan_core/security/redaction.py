"""What looks like a secret: taken out of texts that are written, and found in files that hold one."""

import base64
import gzip
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from adan_core.domain.errors import SecurityError

REDACTED = "[redacted]"
SHORTEST_REGISTERED = 6
"""Shorter values are not registered: hiding every "a" of a text would hide the text."""
SCANNED_TAIL = 1024 * 1024
"""Bytes of a large file's end that a quick scan reads."""

_NAME = (
    r"(?:api[_\- ]?(?:key|secret)|secret(?:[_\- ]?key)?|access[_\- ]?(?:key|token)|"
    r"(?:private|signing)[_\- ]?key|token|passw(?:or)?d|passphrase|mnemonic|seed[_\- ]?phrase|"
    r"signature|credential|access[_\- ](?:sign|passphrase)|webhook(?:[_\- ]?url)?)"
)
_SEPARATOR = r"""\\*["']?\s*[:=]\s*b?\\*["']?"""
_SENSITIVE_KEY = re.compile(rf".*{_NAME}|authorization|cookie|set-cookie", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One shape of a secret; looked for only where one of ``hints`` (lower case) stands."""

    pattern: re.Pattern[str]
    replacement: str
    hints: tuple[str, ...] = ("",)


def _rule(pattern: str, replacement: str, *hints: str) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement, hints)


_NAMED = _rule(
    rf"""({_NAME})({_SEPARATOR})([^\s"',;&}}\\]{{6,}})""",
    rf"\1\2{REDACTED}",
    *("key", "secret", "token", "passw", "passphrase", "mnemonic", "phrase"),
    *("sign", "credential", "webhook"),
)
_AUTHORIZATION = _rule(
    r"""(authorization\\*["']?\s*[:=]\s*\\*["']?)(?:(bearer|basic|token|digest)\s+)?"""
    r"""[^\s"',}\\]+""",
    rf"\1{REDACTED}",
    "authorization",
)
_UNMISTAKABLE = (
    _rule(
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
        REDACTED,
        "-----begin",
    ),
    _rule(r"\beyJ[a-z0-9_\-]{8,}\.[a-z0-9_\-]{8,}\.[a-z0-9_\-]*", REDACTED, "eyj"),
    _Rule(  # an exchange's key: long, with capitals, small letters and digits
        re.compile(
            r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]{40})(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])"
            r"(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{40,}"
        ),
        REDACTED,
    ),
    _rule(r"(?<![a-z0-9+/])[a-z0-9+/]{60,}={1,2}", REDACTED, "="),
    _rule(r"\b(bearer|basic)\s+[a-z0-9._~+/=\-]{12,}", rf"\1 {REDACTED}", "bearer", "basic"),
    _rule(
        r"\b([a-z][a-z0-9+.\-]{1,20}://)[^\s/@:]{1,200}:[^\s/@]{1,200}@", rf"\1{REDACTED}@", "://"
    ),
    _rule(
        r"([?&](?:token|key|api_?key|signature|sig|secret|access_token|auth|password)=)[^&\s\"']+",
        rf"\1{REDACTED}",
        *("?", "&"),
    ),
    _rule(
        r"(https?://(?:discord(?:app)?\.com/api/webhooks|hooks\.slack\.com/services|"
        r"api\.telegram\.org/bot|[^\s/]{1,200}/[^\s]{0,200}?hooks?)/?)[a-z0-9_:/\-]{16,}",
        rf"\1{REDACTED}",
        *("http://", "https://"),
    ),
    _rule(
        r"\b((?:tgram|discord|slack|pover|msteams|gotifys?|matrixs?|mailtos?|ntfys?|pbul|prowl|"
        r"signals?|rockets?|mmosts?|twilio)://)[^\s\"']+",
        rf"\1{REDACTED}",
        "://",
    ),
)

_live: frozenset[str] = frozenset()


def register(value: str) -> None:
    """Hide ``value``, also URL-encoded or in base64, in every text redacted from now on."""
    global _live  # noqa: PLW0603 - one process has one set of live secrets
    if len(value) >= SHORTEST_REGISTERED:
        encoded = base64.b64encode(value.encode()).decode()
        _live = _live | {value, quote(value, safe=""), encoded, encoded.rstrip("=")}


def redact_text(text: str) -> str:
    """Return ``text`` with registered secrets and whatever looks like one replaced."""
    for value in sorted(_live, key=len, reverse=True):
        if value in text:
            text = text.replace(value, REDACTED)
    lowered = text.lower()
    for rule in (*_UNMISTAKABLE, _AUTHORIZATION, _NAMED):
        if any(hint in lowered for hint in rule.hints):
            text = rule.pattern.sub(rule.replacement, text)
    return text


def redact(value: object) -> object:
    """Return ``value`` with every secret in it replaced, down through mappings and sequences.

    Numbers, booleans and None pass, unless they stand under a sensitive name; any other object
    becomes its redacted text.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(str(name)): REDACTED if _is_sensitive(name, item) else redact(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return redact_text(str(value))


def _is_sensitive(name: object, item: object) -> bool:
    """Return whether ``item`` must be hidden because of the name it stands under."""
    if item is None or isinstance(item, bool):
        return False
    return isinstance(name, str) and _SENSITIVE_KEY.fullmatch(name) is not None


def looks_like_secret(text: str) -> bool:
    """Return whether a text holds something like a key, a token or a password."""
    if any(value in text for value in _live):
        return True
    lowered = text.lower()
    for rule in _UNMISTAKABLE:
        if any(hint in lowered for hint in rule.hints):
            found = rule.pattern.finditer(text)
            if any(REDACTED not in match.group(0) for match in found):
                return True
    if not any(hint in lowered for hint in _NAMED.hints):
        return False
    return any(_is_token(match.group(3)) for match in _NAMED.pattern.finditer(text))


def _is_token(value: str) -> bool:
    """Return whether what stands beside a sensitive name is a value, not a word about one."""
    if value.startswith(("[", "<", "{", "$", "*", "/", "~", ".")) or len(value) < 8:
        return False
    if len(set(value)) < 4:  # xxxxxxxx and its like
        return False
    letters = any(character.isalpha() for character in value)
    digits = any(character.isdigit() for character in value)
    return letters and digits


@dataclass(frozen=True, slots=True)
class Finding:
    """One line that looks like it holds a secret; never what it holds. ``line`` counts from 1."""

    file: Path
    line: int


def scan(paths: Iterable[Path], tail: int | None = SCANNED_TAIL) -> tuple[Finding, ...]:
    """Return the lines of ``paths`` that look like they hold a secret.

    Of a file larger than ``tail`` bytes only the end is read (None: all of it); its lines still
    count from the start. Compressed logs (``.gz``) are read only in full scans. Missing files are
    passed over; a file that cannot be read raises SecurityError, because it was not looked at.
    """
    findings: list[Finding] = []
    for path in paths:
        if path.suffix == ".gz" and tail is not None:
            continue
        try:
            first_line, text = _read(path, tail)
        except FileNotFoundError:
            continue
        except (OSError, EOFError) as error:
            raise SecurityError(
                f"{path} cannot be searched for exposed keys: {error}",
                "a file this user can read",
                "mend its permissions or move it away",
            ) from error
        findings.extend(
            Finding(path, number)
            for number, line in enumerate(text.split("\n"), start=first_line)
            if looks_like_secret(line)
        )
    return tuple(findings)


def _read(path: Path, tail: int | None) -> tuple[int, str]:
    """Return the number of the first line read and the text from there on."""
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as stream:
            return 1, stream.read().decode("utf-8", "replace")
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        skipped = 0
        if tail is not None and size > tail:
            while stream.tell() < size - tail:
                skipped += stream.read(min(1 << 20, size - tail - stream.tell())).count(b"\n")
        return skipped + 1, stream.read().decode("utf-8", "replace")


def exposed_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of ADAN's environment variables whose value looks like a secret."""
    return tuple(
        name
        for name, value in sorted(environment.items())
        if name.startswith("ADAN_") and (looks_like_secret(f"{name}={value}"))
    )


def refuse_exposed_secrets(paths: Iterable[Path], environment: Mapping[str, str]) -> None:
    """Raise SecurityError naming each place where something like a key stands in plain text."""
    places = [f"{finding.file} line {finding.line}" for finding in scan(paths)]
    places += [f"environment variable {name}" for name in exposed_variables(environment)]
    if places:
        shown = ", ".join(places[:10]) + (f" and {len(places) - 10} more" if places[10:] else "")
        raise SecurityError(
            f"something that looks like a key stands in plain text: {shown}",
            "keys only in the keyring or the sealed file",
            "delete it there, have the exchange revoke it, and store a new one with "
            "`adan-core keys set EXCHANGE`",
        )
