"""The decisions pane shows who wants what, how sure each is and how much it counts."""

from dataclasses import replace

from adan_core.domain.decisions import Decision, Vote, confidence_of
from adan_tui.panes import decisions
from adan_tui.view import View
from tests.fake_core import NOW, SCREEN, live_snapshot
from tests.unit.tui.test_panes import told

VOTES = (
    Vote("scalper", 1.0, 0.8, 0.35, agrees=True),
    Vote("intraday", 1.0, 0.7, 0.3, agrees=True),
    Vote("position", 0.0, 0.6, 0.35, agrees=False),
)


def shown(*, abstained: bool = False) -> str:
    snapshot = live_snapshot()
    first: Decision = snapshot.decisions[0]
    action = replace(
        first.action, votes=VOTES, confidence=confidence_of(VOTES), abstained=abstained
    )
    decided = replace(snapshot, decisions=(replace(first, action=action, verdict=None),))
    return " ".join(told(decisions.draw(View(NOW, SCREEN, decided), 120, 30)).split())


def test_each_vote_is_shown_with_what_it_weighs_and_explains_the_confidence() -> None:
    text = shown()
    assert "scalper wants 100 % (80 % sure, 35 % of the votes)" in text
    assert "intraday wants 100 % (70 % sure, 30 % of the votes)" in text
    assert "position wants 0 % against it (60 % sure, 35 % of the votes)" in text
    assert round(0.35 * 0.8 + 0.3 * 0.7 + 0.35 * (1.0 - 0.6), 2) == 0.63
    assert " 63 % " in text


def test_an_abstention_is_said() -> None:
    assert "abstains" in shown(abstained=True)
    assert "abstains" not in shown()
