"""What a process that holds secrets does first: no core dumps, no reading of its memory."""

import ctypes
import resource
import sys

from adan_core.domain.errors import SecurityError

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden_process() -> None:
    """Switch core dumps off and, on Linux, make this process's memory unreadable to others.

    The dumpable flag comes back with each exec, so every program calls this for itself. Raises
    SecurityError when the system refuses.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        raise SecurityError(f"core dumps cannot be switched off: {error}") from error
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            raise SecurityError(
                f"the kernel refused PR_SET_DUMPABLE (errno {ctypes.get_errno()})",
                "a process whose memory others cannot dump",
            )
