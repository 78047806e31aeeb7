"""EnvironmentValidator: whether this machine can run ADAN, each finding with its remedy."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from adan_core.config.locations import Locations, shipped
from adan_core.domain.errors import AdanError, SecurityError
from adan_core.domain.time import SECOND, Clock, iso

_SMALLEST_TERMINAL = (80, 24)
_ROOM_NEEDED = 1_000_000_000
_PROJECT = "adan"


class Verdict(StrEnum):
    """What a finding means: fine, worth knowing, or in the way."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``remedy`` is empty where nothing needs doing."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


class EnvironmentValidator:
    """Looks at the machine through what it is given; changes nothing and reaches no network."""

    def __init__(
        self,
        locations: Locations,
        environment: Mapping[str, str],
        overrides: tuple[str, ...],
        clock: Clock,
        terminal: TextIO,
    ) -> None:
        self._locations = locations
        self._environment = environment
        self._overrides = overrides
        self._clock = clock
        self._terminal = terminal

    def findings(self) -> tuple[Finding, ...]:
        """Look at everything and return what was found, in a fixed order."""
        checks: tuple[Callable[[], Iterator[Finding]], ...] = (
            self._python,
            self._packages,
            self._conda,
            self._settings,
            self._folders,
            self._disk,
            self._clocks,
            self._gpu,
            self._keyring,
            self._exposed_secrets,
            self._audit_trail,
            self._terminal_abilities,
        )
        return tuple(finding for check in checks for finding in check())

    def _python(self) -> Iterator[Finding]:
        wanted = importlib.metadata.metadata(_PROJECT)["Requires-Python"] or ""
        lowest = re.fullmatch(r">=\s*(\d+)\.(\d+)", wanted)
        found = f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}"
        good = lowest is None or sys.version_info >= (int(lowest[1]), int(lowest[2]))
        remedy = "" if good else f"install Python {wanted} and `make install` again"
        yield Finding("python", Verdict.OK if good else Verdict.FAILED, found, remedy)

    def _packages(self) -> Iterator[Finding]:
        """Compare what is installed with what the project's own metadata and constraints name."""
        tried = _constraints(shipped() / "constraints.txt")
        needed = {
            _normal(name[0])
            for line in importlib.metadata.requires(_PROJECT) or ()
            if "extra ==" not in line and (name := re.match(r"[A-Za-z0-9._-]+", line))
        }
        installed = {
            _normal(item.name): item.version for item in importlib.metadata.distributions()
        }
        missing = sorted(needed - set(installed))
        other = sorted(
            f"{name} {installed[name]} (tried with {version})"
            for name, version in tried.items()
            if name in installed and installed[name].partition("+")[0] != version
        )
        if missing:
            found = f"not installed: {', '.join(missing)}"
            yield Finding("packages", Verdict.FAILED, found, "`make install`")
        elif other:
            remedy = "`make install`, or pip install with --constraint constraints.txt"
            yield Finding(
                "packages", Verdict.WARNING, "other versions: " + ", ".join(other), remedy
            )
        else:
            known = len(tried.keys() & installed.keys())
            yield Finding("packages", Verdict.OK, f"{known} at the versions ADAN was tried with")

    def _conda(self) -> Iterator[Finding]:
        prefix = self._environment.get("CONDA_PREFIX")
        if not prefix:
            return
        name = self._environment.get("CONDA_DEFAULT_ENV", prefix)
        if Path(sys.prefix).resolve() == Path(prefix).resolve():
            yield Finding("conda", Verdict.OK, f"environment {name}")
        else:
            remedy = "nothing, if that is meant; else `conda activate trading_env`"
            found = f"environment {name} is active, but ADAN runs from {sys.prefix}"
            yield Finding("conda", Verdict.WARNING, found, remedy)

    def _settings(self) -> Iterator[Finding]:
        from adan_core.config.loading import load_settings

        try:
            loaded = load_settings(self._locations, self._overrides, self._environment)
        except AdanError as error:
            remedy = "`adan-core config check` names each"
            yield Finding("settings", Verdict.FAILED, str(error), remedy)
        else:
            yield Finding("settings", Verdict.OK, f"valid, hash {loaded.config_hash}")

    def _folders(self) -> Iterator[Finding]:
        for name in ("config", "data", "state", "cache", "logs", "runtime"):
            folder: Path = getattr(self._locations, name)
            there = _nearest(folder)
            if not os.access(there, os.W_OK | os.X_OK):
                remedy = f"make {there} writable for this user, or choose a home with --home"
                yield Finding(f"folder {name}", Verdict.FAILED, f"{there} is read-only", remedy)
            elif there == folder and folder.stat().st_mode & 0o022:
                remedy = f"`chmod go-w {folder}`"
                yield Finding(f"folder {name}", Verdict.FAILED, "others can write there", remedy)
            else:
                note = "" if there == folder else " (made on first use)"
                yield Finding(f"folder {name}", Verdict.OK, f"{folder}{note}")
        cache = Path(self._environment.get("NUMBA_CACHE_DIR", str(self._locations.numba_cache)))
        if os.access(_nearest(cache), os.W_OK | os.X_OK):
            kernels = sum(1 for _ in cache.rglob("*.nbc")) if cache.is_dir() else 0
            found = f"{kernels} compiled kernels in {cache}"
            yield Finding("compiled kernels", Verdict.OK, found)
        else:
            remedy = "free the path; until then every start compiles anew"
            yield Finding("compiled kernels", Verdict.WARNING, f"{cache} is read-only", remedy)

    def _disk(self) -> Iterator[Finding]:
        usage = shutil.disk_usage(_nearest(self._locations.data))
        found = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB"
        if usage.free < _ROOM_NEEDED:
            remedy = f"free some: below {_ROOM_NEEDED / 1e9:g} GB the journal may not find room"
            yield Finding("disk", Verdict.FAILED, found, remedy)
        else:
            yield Finding("disk", Verdict.OK, found)

    def _clocks(self) -> Iterator[Finding]:
        """A clock behind ADAN's own files is wrong; whether it is synchronised, systemd knows."""
        now = self._clock.now()
        mine = (self._locations.journal, self._locations.audit_file, Path(__file__))
        newest = max(int(path.stat().st_mtime * SECOND) for path in mine if path.exists())
        if now < newest - 60 * SECOND:
            found = f"{iso(now)}, but ADAN's newest file is from {iso(newest)}"
            yield Finding("clock", Verdict.FAILED, found, "set the clock, best by NTP")
            return
        synchronised = _synchronised()
        if synchronised is False:
            remedy = "`timedatectl set-ntp true`: exchanges refuse orders of a clock that is off"
            yield Finding("clock", Verdict.WARNING, f"{iso(now)}, not synchronised", remedy)
        else:
            note = "synchronised" if synchronised else "this system does not say whether by NTP"
            yield Finding("clock", Verdict.OK, f"{iso(now)}, {note}")

    def _gpu(self) -> Iterator[Finding]:
        from adan_core.monitoring.gpu import read_gpus

        reading = read_gpus()
        found = ", ".join(gpu.name for gpu in reading.gpus) or f"none: {reading.note}"
        yield Finding("gpu", Verdict.OK, found + ("" if reading.gpus else "; the CPU is enough"))

    def _keyring(self) -> Iterator[Finding]:
        from adan_core.security.keyrings import open_keyring
        from adan_core.security.vault import keyring_service

        try:
            store = open_keyring(keyring_service(self._locations.config), self._environment, 5.0)
        except SecurityError as error:
            found = error.found + "; a passphrase-sealed file can stand in"
            yield Finding("keyring", Verdict.WARNING, found, error.remedy)
        else:
            yield Finding("keyring", Verdict.OK, store.rung)

    def _exposed_secrets(self) -> Iterator[Finding]:
        from adan_core.security.redaction import exposed_variables, scan

        folders = (self._locations.config, self._locations.logs)
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        files = [path for path in files if path != self._locations.sealed_keys]
        try:
            places = [f"{finding.file} line {finding.line}" for finding in scan(files, tail=None)]
        except SecurityError as error:
            yield Finding("secrets in the open", Verdict.FAILED, error.found, error.remedy)
            return
        places += [f"variable {name}" for name in exposed_variables(self._environment)]
        if places:
            found = "something like a key in " + ", ".join(places)
            remedy = "delete it, revoke that key, store a new one with `adan-core keys set`"
            yield Finding("secrets in the open", Verdict.FAILED, found, remedy)
        else:
            found = f"none in {len(files)} files and the environment"
            yield Finding("secrets in the open", Verdict.OK, found)

    def _audit_trail(self) -> Iterator[Finding]:
        from adan_core.security.audit import verify_chain

        try:
            report = verify_chain(self._locations.audit_file)
        except AdanError as error:
            yield Finding("audit trail", Verdict.FAILED, error.found, error.remedy)
            return
        if report.intact:
            yield Finding("audit trail", Verdict.OK, f"{report.rows} rows, {report.reason}")
        else:
            found = f"breaks at line {report.line}: {report.reason}"
            remedy = (
                f"find out who changed {self._locations.audit_file}; move it and its .head away"
            )
            yield Finding("audit trail", Verdict.FAILED, found, remedy)

    def _terminal_abilities(self) -> Iterator[Finding]:
        if not self._terminal.isatty():
            yield Finding("terminal", Verdict.OK, "output is no terminal; the screen needs one")
            return
        kind = self._environment.get("TERM", "")
        columns, lines = os.get_terminal_size(self._terminal.fileno())
        encoding = (self._terminal.encoding or "").lower().replace("-", "")
        found = f"{kind or 'TERM not set'}, {columns}x{lines}, {_colours(kind, self._environment)}"
        if kind in {"", "dumb"}:
            remedy = "open ADAN in a terminal with TERM such as xterm-256color"
            yield Finding("terminal", Verdict.FAILED, found, remedy)
        elif encoding != "utf8":
            remedy = "choose a UTF-8 locale, e.g. export LANG=C.UTF-8"
            yield Finding("terminal", Verdict.WARNING, f"{found}, {encoding}", remedy)
        elif columns < _SMALLEST_TERMINAL[0] or lines < _SMALLEST_TERMINAL[1]:
            remedy = "make it 80x24 or larger"
            yield Finding("terminal", Verdict.WARNING, found, remedy)
        else:
            yield Finding("terminal", Verdict.OK, f"{found}, UTF-8")


def _normal(name: str) -> str:
    """Return a package's name in its one normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _constraints(path: Path) -> dict[str, str]:
    pins = (line.partition("==") for line in path.read_text(encoding="utf-8").splitlines())
    return {_normal(name): version.strip() for name, equals, version in pins if equals}


def _nearest(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _synchronised() -> bool | None:
    """Return what systemd says about NTP; None where it is not asked or does not answer."""
    timedatectl = shutil.which("timedatectl")
    if timedatectl is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 (a fixed command, found on PATH)
            [timedatectl, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5.0,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(answer.stdout.strip())


def _colours(kind: str, environment: Mapping[str, str]) -> str:
    if environment.get("NO_COLOR"):
        return "NO_COLOR is set"
    if environment.get("COLORTERM") in {"truecolor", "24bit"}:
        return "16 million colours"
    import curses

    try:
        curses.setupterm(kind)
    except curses.error:
        return "unknown to terminfo"
    return f"{max(curses.tigetnum('colors'), 2)} colours"
