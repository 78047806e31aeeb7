"""What the screen knows at one instant, and how fresh each part of it is."""

from dataclasses import dataclass, replace
from enum import Enum

from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import KillKind, KillPhase, KillReport
from adan_core.domain.time import Milliseconds
from adan_core.domain.training import QueuedTraining, TrainingState
from adan_core.runtime.client import CoreClient, ScreenSettings

# In force until the session brings the operator's own, within the first second.
AT_START = ScreenSettings(
    theme="",
    refresh_hertz=4.0,
    plot_hertz=1.0,
    utc=True,
    heartbeat_stale=3_000,
    other_stale=90_000,
    training_steps=1_000_000,
    training_seed=7,
    training_timeout=None,
    training_profiles=(),
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no core to show, and what to do about it."""

    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class View:
    """One instant of the screen: the newest snapshot and everything the panes judge it by.

    ``link`` says why the core does not answer (empty: it does) and ``lost_at`` since when;
    ``trouble`` stands where no session could be opened; ``requested`` is the kill this screen has
    asked for and the core has not yet shown.
    """

    now: Milliseconds
    settings: ScreenSettings
    snapshot: CoreSnapshot | None = None
    link: str = ""
    lost_at: Milliseconds | None = None
    trouble: Trouble | None = None
    requested: KillKind | None = None
    requested_at: Milliseconds | None = None
    notice: str = ""

    @property
    def utc(self) -> bool:
        """Whether times are shown in UTC rather than in local time."""
        return self.settings.utc


class Feed(Enum):
    """Where a pane's figures come from, hence what makes them stale."""

    CORE = "core"
    MARKET = "market"
    HEALTH = "health"
    TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Staleness:
    """How old figures are that should be newer, and what stopped coming."""

    age: Milliseconds
    cause: str


def heartbeat_age(view: View) -> Milliseconds | None:
    """Return how long ago the core's trading thread last showed life; None before it ever did."""
    if view.snapshot is None:
        return None
    return max(view.now - view.snapshot.heartbeat_at, 0)


def market_age(view: View) -> Milliseconds | None:
    """Return how long ago the newest candle arrived; None before the first."""
    if view.snapshot is None or view.snapshot.market.received_at is None:
        return None
    return max(view.now - view.snapshot.market.received_at, 0)


def staleness(view: View, feed: Feed) -> Staleness | None:
    """Return how stale figures from ``feed`` are, or None while they are fresh or absent.

    In order: a lost link makes everything stale, a silent heartbeat everything the core computes,
    an old candle or a silent stream what depends on the market, an old reading the health, a silent
    job the training.
    """
    snapshot = view.snapshot
    if snapshot is None:
        return None
    if view.link:
        since = snapshot.taken_at if view.lost_at is None else view.lost_at
        return Staleness(max(view.now - since, 0), "no answer from the core")
    beat = heartbeat_age(view)
    if beat is not None and beat > view.settings.heartbeat_stale:
        return Staleness(beat, "no heartbeat")
    return _own_staleness(view, snapshot, feed)


def _own_staleness(view: View, snapshot: CoreSnapshot, feed: Feed) -> Staleness | None:
    if feed is Feed.MARKET and not snapshot.market.finished:
        old = market_age(view)
        if old is not None and old > snapshot.market.stale_after:
            return Staleness(old, "no candle")
        stream = snapshot.market.stream
        silence = None if stream is None else stream.silence(view.now)
        if silence is not None:
            return Staleness(silence, "stream silent")
    if feed is Feed.HEALTH and snapshot.health is not None:
        old = view.now - snapshot.health.taken_at
        if old > view.settings.other_stale:
            return Staleness(old, "no reading")
    job = snapshot.training
    if feed is Feed.TRAINING and job is not None and working(job.state):
        old = view.now - job.updated_at
        if old > view.settings.other_stale:
            return Staleness(old, "no record")
    return None


def working(state: TrainingState) -> bool:
    """Whether a training job is at work, paused or not."""
    return state in (
        TrainingState.PREPARING,
        TrainingState.RUNNING,
        TrainingState.PAUSED,
        TrainingState.STOPPING,
    )


def training_state(view: View) -> TrainingState | None:
    """Return where the newest training job stands; None if there is none."""
    job = view.snapshot.training if view.snapshot is not None else None
    return None if job is None else job.state


def training_runs(view: View) -> bool:
    """Whether the newest snapshot shows a training job at work."""
    state = training_state(view)
    return state is not None and working(state)


def waiting_trainings(view: View) -> tuple[QueuedTraining, ...]:
    """Return the trainings that wait for their turn, the next one first."""
    jobs = view.snapshot.training_queue if view.snapshot is not None else ()
    return tuple(job for job in jobs if not job.running)


def kill_report(view: View) -> KillReport:
    """Return the kill as it must be shown: the core's report, or this screen's own request before it."""
    shown = view.snapshot.kill if view.snapshot is not None else KillReport(KillPhase.ARMED)
    if view.requested is not None:
        return KillReport(
            KillPhase.REQUESTED,
            view.requested,
            origin="this screen",
            requested_at=view.requested_at,
        )
    return shown


def renewed(view: View, now: Milliseconds, client: CoreClient | None) -> View:
    """Return ``view`` at ``now`` with the client's newest snapshot and link; no client: only later."""
    if client is None:
        return replace(view, now=now)
    link = client.link()
    newest = client.snapshot()
    since = view.lost_at if view.link else now
    return _settled(
        replace(
            view,
            now=now,
            snapshot=view.snapshot if newest is None else newest,
            link=link,
            lost_at=since if link else None,
        )
    )


def _settled(view: View) -> View:
    """Drop this screen's own request once the core shows the kill itself."""
    if view.requested is None or view.requested_at is None or view.snapshot is None:
        return view
    report = view.snapshot.kill
    if report.phase is KillPhase.ARMED or view.snapshot.taken_at < view.requested_at:
        return view
    if view.requested is KillKind.FLATTEN and report.kind is not KillKind.FLATTEN:
        return view
    return replace(view, requested=None, requested_at=None)
