"""The screen as a process on a real terminal: its first frame, its ends, and what it leaves behind."""

import os
import signal
import sys
import time
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_ALTERNATE_SCREEN = "\x1b[?1049l"


def start(state: str, note: Path | None = None, **environment: str) -> "pexpect.spawn[str]":
    """Open the screen on the fake core and wait for its first whole frame."""
    given = {name: text for name, text in os.environ.items() if name not in {"NO_COLOR", "SSH_TTY"}}
    given |= {"TERM": "xterm-256color", **environment}
    if note is not None:
        given["FAKE_CORE_CLOSED"] = str(note)
    child = pexpect.spawn(
        sys.executable,
        ["-m", "tests.fake_core", state],
        cwd=str(ROOT),
        env=given,
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=120,
    )
    child.expect("F12/Ctrl")
    return child


def end(child: "pexpect.spawn[str]") -> str:
    """Wait for the process to end and return what it wrote last."""
    child.expect(pexpect.EOF)
    child.wait()
    return str(child.before)


def test_the_first_frame_comes_before_the_core_and_soon() -> None:
    began = time.monotonic()
    child = start("live")
    # Ten times the goal of a quiet machine: the bench measures, this only catches a blocking start.
    assert time.monotonic() - began < 8.0
    child.expect("SIMULATED MARKET")
    child.kill(signal.SIGTERM)
    end(child)


def test_sigterm_restores_the_terminal_and_closes_the_core(tmp_path: Path) -> None:
    child = start("live", tmp_path / "closed")
    child.expect("SIMULATED MARKET")
    child.kill(signal.SIGTERM)
    assert LEFT_ALTERNATE_SCREEN in end(child)
    assert child.exitstatus == 0
    assert (tmp_path / "closed").read_text() == "closed 1"


def test_the_quit_key_leaves_with_zero(tmp_path: Path) -> None:
    child = start("halted", tmp_path / "closed")
    child.expect("HALT CONFIRMED")
    child.send("\x1b[21~")  # F10
    child.expect("A training is running")
    child.send("y")
    end(child)
    assert child.exitstatus == 0
    assert (tmp_path / "closed").read_text() == "closed 1"


def test_a_lost_terminal_ends_the_process_and_closes_the_core(tmp_path: Path) -> None:
    note = tmp_path / "closed"
    child = start("live", note)
    child.expect("SIMULATED MARKET")
    process = child.pid
    os.close(child.child_fd)
    until = time.monotonic() + 15
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        time.sleep(0.02)
    else:
        os.kill(process, signal.SIGKILL)
        pytest.fail("the process outlived its terminal")
    assert os.waitstatus_to_exitcode(status) == 129
    assert note.read_text() == "closed 1"


def test_a_crash_exits_with_one_and_prints_no_local_variable(tmp_path: Path) -> None:
    child = start("crash", tmp_path / "closed")
    last = end(child)
    assert child.exitstatus == 1
    assert "the screen fell over" in last
    assert "hunter2-in-a-local" not in last
    assert LEFT_ALTERNATE_SCREEN in last
    assert (tmp_path / "closed").read_text() == "closed 1"


def test_a_refused_core_is_explained_and_its_code_is_the_exit_code() -> None:
    child = start("refused")
    child.expect("Another core owns this home")
    child.send("\x1b[21~")
    end(child)
    assert child.exitstatus == 8


@pytest.mark.parametrize("key", ["\x1b[24~", "\x14"], ids=["F12", "Ctrl+T"])
def test_the_kill_keys_arrive_from_a_real_terminal(key: str) -> None:
    child = start("live")
    child.expect("SIMULATED MARKET")
    child.send(key)
    child.expect("HALT REQUESTED")
    child.kill(signal.SIGTERM)
    end(child)
