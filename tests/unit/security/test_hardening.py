"""A process that holds secrets leaves no core file and does not show its memory."""

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource
from adan_core.security.hardening import harden_process
harden_process()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_GET_DUMPABLE is Linux's")
def test_core_files_are_off_and_the_process_is_not_dumpable() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["(0,", "0)", "0"]
