"""A real change on the disk reaches the callback; stopping stops."""

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from adan_core.config.watcher import Watcher
from adan_core.resilience.files import write_atomically

PATIENCE = 60.0


class Watched:
    def __init__(self, paths: list[Path]) -> None:
        self.changes: queue.Queue[frozenset[Path]] = queue.Queue()
        self.failures: list[str] = []
        self.watcher = Watcher(paths, self.changes.put, self.failures.append)
        self.watcher.start()
        assert self.watcher.watching.wait(PATIENCE)

    def next_for(self, path: Path) -> None:
        while path not in self.changes.get(timeout=PATIENCE):
            pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config" / "themes").mkdir(parents=True)
    return tmp_path / "config"


@pytest.fixture
def watched(folder: Path) -> Iterator[Watched]:
    found = Watched([folder / "adan.yaml", folder / "themes"])
    yield found
    found.watcher.stop()
    assert found.failures == []


def test_each_way_of_writing_a_file_is_seen(folder: Path, watched: Watched) -> None:
    settings = folder / "adan.yaml"
    settings.write_text("one")
    watched.next_for(settings)
    write_atomically(settings, b"two")
    watched.next_for(settings)
    settings.unlink()
    watched.next_for(settings)


def test_a_file_within_a_watched_folder_is_seen_and_others_are_not(
    folder: Path, watched: Watched
) -> None:
    (folder / "unrelated.txt").write_text("x")
    (folder / "themes" / "mine.yaml").write_text("x")
    assert watched.changes.get(timeout=PATIENCE) == {folder / "themes"}


def test_folders_made_later_are_seen(tmp_path: Path) -> None:
    settings = tmp_path / "later" / "config" / "adan.yaml"
    watched = Watched([settings])
    for number in range(4):  # making the folders accounts for two changes, three at most
        write_atomically(settings, b"%d" % number)
        watched.next_for(settings)
    watched.watcher.stop()
    assert watched.failures == []


def test_stopping_ends_the_thread_soon(folder: Path) -> None:
    watched = Watched([folder / "adan.yaml"])
    watched.watcher.stop()
    watched.watcher.stop()
    (folder / "adan.yaml").write_text("x")
    assert watched.changes.empty()
