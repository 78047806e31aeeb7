"""The kill switch: a thread of its own that latches, cancels, reads back, and only then says so."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from adan_core.domain.commands import REARM_WORD
from adan_core.domain.errors import AdanError, SystemFailure, TradingError, UsageError
from adan_core.domain.state import KillKind, KillPhase, KillReport
from adan_core.domain.time import Clock, Milliseconds
from adan_core.trading.exchanges.protocol import Exchange
from adan_core.trading.kill_action import Findings, KillAction, KillJournal
from adan_core.trading.latch import KillLatch

Audit = Callable[[str, str], None]

_FAILURES = (AdanError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class _Request:
    kind: KillKind
    reason: str
    origin: str
    requested_at: Milliseconds
    report: KillReport


@dataclass(frozen=True, slots=True)
class _Rearming:
    origin: str
    done: Future[None]


class KillSwitch:
    """Stops trading whatever the engine, the screen or a training run are doing.

    ``connect`` opens the switch's own connection to the exchange and ``open_journal`` its own to the
    journal, both on its thread. ``audit(action, detail)`` is told of every request, latch,
    confirmation and re-arming; it runs after the cancels, so that it cannot hold them up.
    """

    def __init__(
        self,
        latch: KillLatch,
        connect: Callable[[], Exchange],
        open_journal: Callable[[], KillJournal],
        clock: Clock,
        random_below: Callable[[int], int],
        audit: Audit,
        retry_seconds: float = 0.25,
        attempt_seconds: float = 10.0,
    ) -> None:
        self._latch = latch
        self._clock = clock
        self._audit = audit
        self._retry_seconds = retry_seconds
        self._attempt_seconds = attempt_seconds
        self._action = KillAction(connect, open_journal, clock, random_below)
        self._inbox: SimpleQueue[_Request | _Rearming] = SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._engaged = threading.Event()
        self._thread: threading.Thread | None = None
        self._report = KillReport(KillPhase.ARMED)
        # Requests that the thread has not taken up yet; no lock, since a signal handler may ask.
        self._requested: list[KillReport] = []
        self._latch_failure = ""
        self._audits: list[tuple[str, str]] = []
        self._audit_failure = ""
        self._adopt_latch()

    def _adopt_latch(self) -> None:
        """Take a latch that lies on disk as a request; it may have been put there by anybody."""
        found = self._latch.read()
        if found is not None:
            self._engaged.set()
            self._wake.set()
            self._action.reset()
            self._report = KillReport(
                KillPhase.LATCHED,
                kind=found.kind,
                reason=found.reason,
                origin=found.origin,
                # How long this start takes to confirm says nothing of the request's own time.
                requested_at=None,
                latched_at=found.latched_at or None,
                detail="the latch was found on disk; the exchange is read back first",
            )

    @property
    def engaged(self) -> bool:
        """Whether no order may leave; true from the request on, before the latch is on disk."""
        return bool(self._requested) or self._engaged.is_set()

    @property
    def report(self) -> KillReport:
        """How far the kill has come; CONFIRMED only after the exchange was read back."""
        newest = self._requested[-1:]
        report = newest[0] if newest else self._report
        failure = self._audit_failure
        if not failure:
            return report
        return replace(report, detail=f"{report.detail}; not audited yet: {failure}")

    def start(self) -> None:
        """Start the thread; it connects at once, so that a kill finds a warm connection."""
        self._thread = threading.Thread(target=self._run, name="kill", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; a latch stays on disk."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def request(self, kind: KillKind, reason: str, origin: str) -> None:
        """Ask for a kill and return at once; from any thread, as often as anybody likes."""
        now = self._clock.now()
        report = KillReport(
            KillPhase.REQUESTED, kind=kind, reason=reason, origin=origin, requested_at=now
        )
        self._requested.append(report)
        self._engaged.set()
        self._inbox.put(_Request(kind, reason, origin, now, report))
        self._wake.set()

    def rearm(self, word: str, origin: str) -> None:
        """Take the latch off, durably, and let orders leave again.

        Raises UsageError for any word but the right one, TradingError while a kill is not
        confirmed or the thread does not run, SystemFailure if the latch cannot be removed.
        """
        if word != REARM_WORD:
            raise UsageError(f"the word {word!r}", f"the word {REARM_WORD}", "type it exactly")
        if self._thread is None or not self._thread.is_alive():
            raise TradingError("the kill switch does not run", "a running core", "restart the core")
        done: Future[None] = Future()
        self._inbox.put(_Rearming(origin, done))
        self._wake.set()
        try:
            done.result(self._attempt_seconds + self._retry_seconds)
        except TimeoutError as error:
            raise TradingError("the kill switch is busy cancelling", "", "try again") from error

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            with suppress(*_FAILURES):  # the connection is tried again when it is needed
                self._action.warm()
            while not self._stopping.is_set():
                try:
                    self._serve(runner)
                except Exception as failure:  # noqa: BLE001  # a thread's outermost frame
                    self._say(KillPhase.RETRYING, f"{type(failure).__name__}: {failure}")
                    self._stopping.wait(self._retry_seconds)
                    self._wake.set()
            with suppress(*_FAILURES):
                runner.run(self._action.close())

    def _serve(self, runner: asyncio.Runner) -> None:
        """Work until stopped: take requests, attempt, wait."""
        while not self._stopping.is_set():
            self._wake.wait(self._retry_seconds)
            self._wake.clear()
            if not self.engaged:
                self._adopt_latch()  # `adan-core halt` writes it where no core answers
            self._take_requests()
            if self.engaged and self._report.phase is not KillPhase.CONFIRMED:
                self._attempt(runner)
            self._tell()

    def _tell(self) -> None:
        """Write down what is due; a row that the audit does not take is offered again, first."""
        while self._audits:
            row = self._audits.pop(0)
            try:
                self._audit(*row)
            except _FAILURES as failure:
                self._audits.insert(0, row)
                self._audit_failure = str(failure) or type(failure).__name__
                return
        self._audit_failure = ""

    def _take_requests(self) -> None:
        while True:
            try:
                message = self._inbox.get_nowait()
            except Empty:
                return
            if isinstance(message, _Request):
                self._begin(message)
            else:
                self._rearm(message)

    def _begin(self, request: _Request) -> None:
        self._engaged.set()
        self._audits.append(
            (f"{request.kind} requested", f"by {request.origin}: {request.reason or 'no reason'}")
        )
        earlier = self._report.kind if self._report.phase is not KillPhase.ARMED else None
        stronger = (
            KillKind.FLATTEN if KillKind.FLATTEN in (request.kind, earlier) else KillKind.HALT
        )
        self._report = KillReport(
            KillPhase.REQUESTED,
            kind=stronger,
            reason=request.reason,
            origin=request.origin,
            requested_at=request.requested_at,
        )
        self._requested.remove(request.report)
        self._put_latch()

    def _put_latch(self) -> None:
        """Put the latch on disk; if the disk refuses, the cancels go ahead and this is tried again."""
        report = self._report
        now = self._clock.now()
        try:
            self._latch.latch(
                report.kind or KillKind.HALT,
                report.reason,
                report.origin,
                report.requested_at or now,
                now,
            )
        except SystemFailure as failure:
            self._latch_failure = str(failure)
            return
        self._latch_failure = ""
        self._report = replace(report, phase=KillPhase.LATCHED, latched_at=now)
        self._audits.append((f"{report.kind} latched", str(self._latch.path)))

    def _attempt(self, runner: asyncio.Runner) -> None:
        if self._latch_failure:
            self._put_latch()
        self._report = replace(
            self._report, phase=KillPhase.CANCELLING, attempts=self._report.attempts + 1
        )
        try:
            found = runner.run(self._bounded_attempt())
        except _FAILURES as failure:
            self._say(KillPhase.RETRYING, str(failure) or type(failure).__name__)
            with suppress(*_FAILURES):
                runner.run(self._action.disconnect())
            return
        self._report = replace(
            self._report,
            entries_left=found.entries_left,
            protection_standing=found.protection_standing,
            positions_left=found.positions_left,
        )
        if found.done and not self._latch_failure:
            now = self._clock.now()
            self._report = replace(self._report, confirmed_at=now)
            self._say(KillPhase.CONFIRMED, found.detail)
            took = now - (self._report.requested_at or now)
            self._audits.append(
                (f"{self._report.kind} confirmed", f"after {took} ms; {found.detail}")
            )
        else:
            self._say(KillPhase.RETRYING, found.detail)

    async def _bounded_attempt(self) -> Findings:
        async with asyncio.timeout(self._attempt_seconds):
            return await self._action.attempt(self._report.kind or KillKind.HALT)

    def _say(self, phase: KillPhase, detail: str) -> None:
        if self._latch_failure:
            detail = f"the latch is not on disk ({self._latch_failure}); {detail}"
        self._report = replace(self._report, phase=phase, detail=detail)

    def _rearm(self, rearming: _Rearming) -> None:
        if self._requested:
            rearming.done.set_exception(
                TradingError(
                    "a newer kill request waits", "a confirmed kill", "wait until it is confirmed"
                )
            )
            return
        if self.engaged and self._report.phase is not KillPhase.CONFIRMED:
            rearming.done.set_exception(
                TradingError(
                    f"the kill is {self._report.phase}: {self._report.detail or 'not read back yet'}",
                    "a confirmed kill",
                    "wait until the exchange has been read back",
                )
            )
            return
        try:
            self._latch.remove()
        except SystemFailure as failure:
            rearming.done.set_exception(failure)
            return
        self._audits.append(("re-armed", f"by {rearming.origin}"))
        self._action.reset()
        self._report = KillReport(KillPhase.ARMED)
        self._engaged.clear()  # a request that came meanwhile keeps it engaged until it is taken up
        rearming.done.set_result(None)
