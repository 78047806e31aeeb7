"""What every test shares: a home of its own, no network beyond loopback, one cache of kernels."""

import gc
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import need_tool, shared_data

__all__ = ["need_tool", "shared_data"]

_KERNELS = Path(__file__).resolve().parents[1] / ".pytest_cache" / "numba"
# Before numba is imported, and inherited by every child process: kernels are compiled once.
os.environ.setdefault("NUMBA_CACHE_DIR", str(_KERNELS))
for _name in [name for name in os.environ if name.startswith("ADAN_")]:
    del os.environ[_name]

# The first example may compile kernels: no deadline, and slowness is not unhealthy.
_CALM = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "default", max_examples=50, deadline=None, derandomize=True, suppress_health_check=_CALM
)
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=_CALM)
settings.register_profile(
    "quick", max_examples=8, deadline=None, derandomize=True, suppress_health_check=_CALM
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish() -> None:
    """Spare every collection of garbage from now on all that importing the tests has made."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test, and every process it starts, an ADAN home that nobody else uses."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ADAN_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that would leave the machine."""

    def guard(name: str) -> None:
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, *arguments: object) -> object:
            if self.family in {socket.AF_INET, socket.AF_INET6}:
                address = arguments[-1]
                host = str(address[0]) if isinstance(address, tuple) else str(address)
                if host not in {"localhost", "::1"} and not host.startswith("127."):
                    raise AssertionError(f"a test reached for {host}: only loopback is allowed")
            return original(self, *arguments)

        monkeypatch.setattr(socket.socket, name, guarded)

    for name in ("connect", "connect_ex", "sendto"):
        guard(name)
