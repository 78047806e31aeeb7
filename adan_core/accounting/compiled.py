"""The one way ADAN compiles a kernel: without fast-math, releasing the interpreter lock, cached."""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from platformdirs import user_cache_path

Function = TypeVar("Function", bound=Callable[..., Any])

_KEPT_GENERATIONS = 3


def source_digests(package: Path) -> tuple[str, str]:
    """Return a digest of every module of ``package`` with a compiled kernel, and one of all code.

    numba looks only at the file of the outermost function when it decides whether a cached kernel
    is current; a change in a kernel it calls would go unnoticed. A folder per digest mends that.
    The second digest is the version of the code as far as any number can depend on it: every
    module, and the weights that lie beside one.
    """
    kernels = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    everything = hashlib.blake2b(f"{numba.__version__} {np.__version__}".encode(), digest_size=16)
    for source in sorted(path for path in package.rglob("*") if path.suffix in {".py", ".json"}):
        text = source.read_bytes()
        everything.update(f"{source.relative_to(package)} {len(text)} ".encode())
        everything.update(text)
        if b"@compiled" in text or b"compiled_as(" in text:
            kernels.update(text)
    return kernels.hexdigest(), everything.hexdigest()


# Read once, when the code itself is: a package replaced under a running process changes neither.
_KERNELS, CODE_VERSION = source_digests(Path(__file__).resolve().parent.parent)


def _prepare_cache() -> None:
    base = os.environ.get("NUMBA_CACHE_DIR") or str(user_cache_path("adan") / "numba")
    folder = Path(base) / _KERNELS
    if not _usable(folder):
        # What is compiled then lives as long as this process; `adan-core doctor` says why.
        folder = Path(tempfile.mkdtemp(prefix="adan-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]


def _usable(folder: Path) -> bool:
    """Make ``folder`` in the place of the outdated; return whether kernels can be kept there."""
    try:
        if not folder.exists():
            generations = sorted(
                (path for path in folder.parent.glob("*") if path.is_dir()),
                key=lambda path: path.stat().st_mtime,
            )
            for outdated in generations[: max(len(generations) - _KEPT_GENERATIONS + 1, 0)]:
                shutil.rmtree(outdated, ignore_errors=True)  # another process may be pruning, too
            folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


_prepare_cache()


def compiled(function: Function) -> Function:
    """Compile ``function`` on first call and keep the result on disk.

    Fast-math stays off: batch and streaming, compiled and called from Python, must agree to the bit.
    """
    decorate = numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")
    return cast("Function", decorate(function))


def compiled_inline(function: Function) -> Function:
    """Compile ``function`` into every compiled caller: for the steps of tight loops.

    It has no cache of its own, since it is part of its callers. A call in its place would cost
    about as much as the step itself.
    """
    decorate = numba.njit(nogil=True, fastmath=False, error_model="numpy", forceinline=True)
    return cast("Function", decorate(function))


def compiled_as(signature: object, function: Function) -> Function:
    """Compile ``function`` for one signature now, or load it: what compiled code calls by address."""
    decorate = numba.njit(signature, cache=True, nogil=True, fastmath=False, error_model="numpy")
    return cast("Function", decorate(function))
