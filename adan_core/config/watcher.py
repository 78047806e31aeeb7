"""Watch files and folders, and say which changed."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import Change, watch


class Watcher:
    """A thread that calls back with the watched paths that changed, a few milliseconds after.

    A path may be a file or a folder (with what lies directly in it), and need not exist yet. Their
    folders are watched rather than the files, because editors and atomic writes replace files.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        callback: Callable[[frozenset[Path]], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """``on_failure`` is told, once, if watching ends by itself: reloads no longer happen."""
        self._paths = frozenset(path.absolute() for path in paths)
        self._callback = callback
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config watcher", daemon=True)
        self.watching = threading.Event()
        """Set once changes are seen."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and wait for the thread to end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _folders(self) -> set[Path]:
        """Return the folders to watch: each path's own and its parent, or the nearest that exists."""
        found: set[Path] = set()
        for path in self._paths:
            if path.is_dir():
                found.add(path)
            found.add(next(parent for parent in path.parents if parent.is_dir()))
        return found

    def _concerned(self, changed: Path) -> Path | None:
        """Return the watched path that a change of ``changed`` concerns."""
        for path in self._paths:
            if changed in (path, *path.parents) or changed.parent == path:
                return path
        return None

    def _run(self) -> None:
        try:
            folders: set[Path] = set()
            while not self._stop.is_set():
                known, folders = folders, self._folders()
                # What changed in a folder before it was watched was not seen: look at everything.
                self._watch(folders, anew=bool(known))
        except Exception as error:  # noqa: BLE001 (the thread's outermost frame)
            self._on_failure(f"changed settings and themes are no longer seen: {error}")

    def _watch(self, folders: set[Path], *, anew: bool) -> None:
        """Watch ``folders`` until stopped, or until other folders are the ones to watch."""

        def relevant(_: Change, path: str) -> bool:
            return self._concerned(Path(path)) is not None

        for changes in watch(
            *folders,
            watch_filter=relevant,
            debounce=200,
            step=20,
            rust_timeout=250,
            yield_on_timeout=True,
            stop_event=self._stop,
            recursive=False,
            ignore_permission_denied=True,
        ):
            self.watching.set()
            concerned = (self._concerned(Path(path)) for _, path in changes)
            touched = self._paths if anew else frozenset(path for path in concerned if path)
            anew = False
            if touched:
                self._callback(touched)
            if self._folders() != folders:
                return
