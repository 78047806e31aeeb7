"""A whole core: it watches its model, runs a challenger, demotes by itself, shows it and remembers it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adan_core.domain.errors import ModelError
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import Mode
from adan_core.domain.time import SystemClock
from adan_core.runtime.launch import LaunchOptions, RunningCore, launch
from adan_core.runtime.remote import ask
from tests.service_home import ServiceHome, band

pytestmark = pytest.mark.slow

_LOOK_SECONDS = 0.05
_LOOKS = 4800


@contextmanager
def core(
    home: ServiceHome,
    folder: Path,
    challenger: str | None = None,
    model: str | None = None,
    overrides: tuple[str, ...] = (),
) -> Iterator[RunningCore]:
    """Run a core as fast as its simulated market goes."""
    options = LaunchOptions(Mode.PAPER, None, model, 0.01, folder, overrides, challenger)
    running = launch(options, home.locations, {}, SystemClock())
    try:
        yield running
    finally:
        running.stop()


def until(running: RunningCore, seen: Callable[[CoreSnapshot], bool]) -> CoreSnapshot:
    """Look until a picture of the core is as it should be."""
    for _ in range(_LOOKS):
        snapshot = running.core.snapshot()
        if seen(snapshot):
            return snapshot
        assert not running.core.wait(_LOOK_SECONDS), running.core.failure
    raise AssertionError(f"not seen; the last picture: {snapshot.service}")


def test_a_core_demotes_its_model_shows_it_and_remembers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adan_core.runtime.launch.harden_process", lambda: None)
    home = ServiceHome(tmp_path)
    home.seal("calm", 0.0)
    home.promote("calm")
    home.seal("bull", 1.0, parent="calm", expectation=band(max_drawdown=0.0005))
    home.promote("bull")
    home.seal("rival", 1.0)
    with core(home, tmp_path, challenger="rival") as running:
        snapshot = until(
            running,
            lambda seen: (
                seen.model is not None
                and seen.model.model_id == "calm"
                and seen.service is not None
                and seen.service.challenger is not None
                and seen.service.challenger.candles > 5
            ),
        )
        assert snapshot.service is not None
        assert snapshot.service.shadow[0].model_id == "rival"
        (told,) = [alert for alert in snapshot.alerts if alert.code == "demotion of bull"]
        assert told.severity == "critical"
        over_the_socket = ask(home.locations.socket).snapshot
        assert over_the_socket is not None
        assert over_the_socket.service is not None
        assert over_the_socket.service.champion is not None
        assert over_the_socket.service.champion.model_id == "calm"
    book = home.book()
    assert (book.state("bull"), book.state("calm")) == ("retired", "paper")
    assert '"action":"model.demoted"' in home.locations.audit_file.read_text()
    # The challenger of the settings, and the follower without being named.
    with core(home, tmp_path, overrides=("service.challenger=rival",)) as running:
        snapshot = until(running, lambda seen: seen.service is not None)
        assert snapshot.model is not None
        assert snapshot.model.model_id == "calm"
        assert snapshot.service is not None
        assert snapshot.service.challenger is not None
        assert snapshot.service.challenger.candles > 5
    with (
        pytest.raises(ModelError, match="model bull was retired"),
        core(home, tmp_path, model="bull"),
    ):
        pass
    with pytest.raises(ModelError, match="its own challenger"), core(home, tmp_path, "calm"):
        pass
