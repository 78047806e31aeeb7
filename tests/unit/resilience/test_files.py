"""Atomic writes leave the old file or the new one; one process holds a lock and says so."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.errors import AlreadyRunning, SecurityError, SystemFailure
from adan_core.resilience.files import (
    exclusive_lock,
    lock_holder,
    make_folder,
    private_folder,
    write_atomically,
)


@given(old=st.binary(max_size=200), new=st.binary(max_size=200))
def test_the_last_write_stands_and_nothing_else_is_left(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, old)
    write_atomically(path, new)
    assert path.read_bytes() == new
    assert [found.name for found in path.parent.iterdir()] == ["file"]


def test_pieces_are_written_one_after_the_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", (b"one ", memoryview(b"two "), b""), durable=False)
    assert (tmp_path / "file").read_bytes() == b"one two "


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "file"
    write_atomically(path, b"x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_a_refused_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(SystemFailure, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_data_reach_the_disk_before_the_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        events.append("fsync")
        real_fsync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    write_atomically(tmp_path / "file", b"x")
    assert events == ["fsync", "rename", "fsync"]


def test_a_folder_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "open")
    folder.chmod(0o777)
    with pytest.raises(SecurityError, match="chmod 700"):
        private_folder(folder)
    with pytest.raises(SecurityError, match="open"):
        private_folder(folder / "below")
    folder.chmod(0o700)
    assert private_folder(folder / "below").is_dir()


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "core.lock"
    program = (
        "import sys; from pathlib import Path;"
        "from adan_core.resilience.files import exclusive_lock;"
        "lock = exclusive_lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert lock_holder(path) == holder.pid
        with pytest.raises(AlreadyRunning, match=f"process {holder.pid}"):
            exclusive_lock(path)
        holder.kill()
    with exclusive_lock(path):
        assert lock_holder(path) == os.getpid()
    assert lock_holder(path) is None


def test_a_full_disk_does_not_keep_a_process_from_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "core.lock"
    monkeypatch.setattr(os, "pwrite", refuse)
    with exclusive_lock(path), pytest.raises(AlreadyRunning, match="another process"):
        exclusive_lock(path)
    assert lock_holder(path) is None


def test_two_locks_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "core.lock"
    first = exclusive_lock(path)
    with pytest.raises(AlreadyRunning):
        exclusive_lock(path)
    first.release()
    first.release()
    exclusive_lock(path).release()


def test_looking_never_costs_a_core_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "core.lock"
    exclusive_lock(path).release()
    program = (
        "import sys; from pathlib import Path;"
        "from adan_core.resilience.files import lock_holder;"
        "print('looking', flush=True)\n"
        "while True: lock_holder(Path(sys.argv[1]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as looker:
        assert looker.stdout is not None
        looker.stdout.readline()
        try:
            for _ in range(300):
                exclusive_lock(path).release()
        finally:
            looker.kill()  # it would look for ever, and this block would wait for it


def test_nobody_holds_a_lock_that_was_never_made(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "none") is None
