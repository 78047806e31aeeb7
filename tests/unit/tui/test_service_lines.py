"""The model in service on screen: its own band, its challenger, drift, and why nothing is traded."""

from dataclasses import replace

from adan_core.domain.service import DriftReading, ModelStanding, ServiceStatus
from adan_tui.lines import Ink, Line
from adan_tui.panes import decisions, health
from adan_tui.service import standing_lines, succession_lines
from adan_tui.view import View
from tests.fake_core import NOW, SCREEN
from tests.unit.tui.test_panes import LIVE

CHAMPION = ModelStanding("bull", NOW, 1_234, 30_300.0, 0.01, 0.02)
DRIFT = DriftReading(3_000, 0.01, 0.2, 0.05, 0.3, 0.66, 0.69)
STATUS = ServiceStatus(CHAMPION, -0.03, 0.2, "", None, "", None, (), DRIFT, "")
CHALLENGED = replace(
    STATUS, challenger=ModelStanding("bear", NOW, 1_000, 29_000.0, 0.004, 0.01), difference=-0.006
)


def text(lines: list[Line]) -> str:
    return "\n".join("".join(part for part, _ in line) for line in lines)


def inks(lines: list[Line]) -> set[Ink]:
    return {ink for line in lines for _, ink in line}


def test_the_champion_stands_beside_its_own_band() -> None:
    told = text(standing_lines(STATUS))
    assert "+1.00 %, 2.00 % down in 1,234 candles; floor -3.00 %, at most 20.00 % down" in told
    assert "1 % outside its range (limit 20 %), actions 0.05 apart (limit 0.3)" in told
    assert Ink.BAD not in inks(standing_lines(STATUS))
    below = replace(STATUS, champion=replace(CHAMPION, log_return=-0.04))
    assert Ink.BAD in inks(standing_lines(below))


def test_what_is_not_known_is_na_with_its_reason() -> None:
    unknown = replace(
        STATUS, floor=None, drawdown_limit=None, band_note="no judgement of it is kept"
    )
    assert "N/A: no judgement of it is kept" in text(standing_lines(unknown))
    young = replace(STATUS, drift=replace(DRIFT, outside=None, mix_distance=None, entropy=None))
    assert "N/A outside its range" in text(standing_lines(young))
    assert standing_lines(None) == succession_lines(None, 80) == []


def test_drift_beyond_its_limit_stands_out() -> None:
    far = replace(STATUS, drift=replace(DRIFT, outside=0.5, mix_distance=0.4))
    assert Ink.WARN in inks(standing_lines(far))
    assert Ink.WARN not in inks(standing_lines(STATUS))


def test_the_challenger_stands_beside_the_champion_and_a_failed_one_is_said() -> None:
    told = text(succession_lines(CHALLENGED, 80))
    assert "shadow  bear +0.40 %, -0.60 % beside the champion, 1,000 candles" in told
    failed = replace(STATUS, challenger_note="bear is switched off: a fault")
    assert "bear is switched off" in text(succession_lines(failed, 80))
    assert succession_lines(STATUS, 80) == []


def test_both_panes_show_it_and_change_with_it() -> None:
    assert LIVE.snapshot is not None
    aside = replace(CHALLENGED, aside="model bull is out of service: it fell")
    view = View(NOW, SCREEN, replace(LIVE.snapshot, service=aside))
    picture = decisions.draw(view, 100, 20)
    assert "OUT OF SERVICE: model bull is out of service: it fell" in text(list(picture.fixed))
    assert "beside the champion" in text(list(picture.fixed))
    assert "model  +1.00 %" in text(list(health.draw(view, 80, 12).rows))
    assert decisions.watch(view) != decisions.watch(LIVE)
    assert health.watch(view) != health.watch(LIVE)


def test_a_name_that_a_terminal_would_obey_does_not_reach_it() -> None:
    odd = replace(CHALLENGED, aside="\x1b[2Jmodel", challenger_note="\x1b]0;x\x07")
    told = text(succession_lines(odd, 80))
    assert "\x1b" not in told
    assert "\x07" not in told
