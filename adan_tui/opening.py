"""Opening a session in a thread of its own, so that the first frame need not wait for the core."""

import threading
from collections.abc import Callable

from adan_core.domain.errors import AdanError, AlreadyRunning
from adan_core.runtime.client import Session
from adan_tui.view import Trouble


class Opening:
    """A session that is being opened, is open, or could not be.

    ``begin`` starts the thread; one of the two callbacks is then called from it. ``close`` waits
    for an opening under way and closes what came of it, once, from any thread.
    """

    def __init__(self, open_session: Callable[[], Session]) -> None:
        self._open_session = open_session
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.session: Session | None = None
        self.exit_code = 0

    def begin(
        self, opened: Callable[[Session], object], failed: Callable[[Trouble], object]
    ) -> None:
        """Open the session; call ``opened`` with it, or ``failed`` with why there is none."""

        def work() -> None:
            try:
                self.session = self._open_session()
            except AlreadyRunning as error:
                self.exit_code = error.exit_code
                failed(
                    Trouble(error.found, f"adan-tui --attach shows that core; or {error.remedy}")
                )
            except AdanError as error:
                self.exit_code = error.exit_code
                failed(Trouble(error.found, error.remedy or error.expected or "see the log"))
            except Exception as error:  # noqa: BLE001 a thread's outermost frame: shown, never lost
                self.exit_code = 1
                told = f"{type(error).__name__}: {error}"
                failed(Trouble(f"The core could not start: {told}", "run adan-core doctor"))
            else:
                opened(self.session)

        self._thread = threading.Thread(target=work, name="open-session", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the session, if one was or is being opened."""
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            closed, self._closed = self._closed, True
        if self.session is not None and not closed:
            self.session.client.close()
