"""The report as one page: it holds what was found, the worst before any best, and fetches nothing."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.time import DAY, HOUR
from adan_core.learning.calendar_returns import monthly_returns
from adan_core.learning.gates import judge_gates
from adan_core.learning.metric_rows import METRICS
from adan_core.learning.report_html import report_page
from tests.judged import Judged, made_walk_forward

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return made_walk_forward(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def page(judged: Judged) -> str:
    verdict = judge_gates(judged.report.figures, judged.settings.gates)
    return report_page(judged.report, judged.curves, verdict, judged.settings, 2)


class _Asked(HTMLParser):
    """Collects whatever a browser would fetch, run or follow, and which elements were left open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "iframe", "img", "object", "embed", "a"}:
            self.asked.append(tag)
        for name, value in attrs:
            if name in {"src", "srcset", "data", "action"}:
                self.asked.append(f"{tag} {name}")
            if name.endswith("href") and not (value or "").startswith("#"):
                self.asked.append(f"{tag} {name}={value}")
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_nobody_for_anything(page: str) -> None:
    reader = _Asked()
    reader.feed(page)
    assert reader.asked == []
    assert reader.open == []
    assert "http:" not in page
    assert "https:" not in page
    assert all(part.startswith("#") for part in re.findall(r"url\(([^)]*)\)", page))
    assert page.count("<svg") == 3


def test_the_page_follows_the_readers_light(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert re.findall(r"(?:fill|stroke): #\w+", drawing) == []
        assert "var(--ink)" in drawing


def test_the_page_shows_every_figure_with_its_convention(page: str, judged: Judged) -> None:
    for row in METRICS:
        assert row.convention in page
    assert f"{judged.report.median.metrics.total_return:+.2%}" in page
    assert "Look number 2" in page
    assert "SIMULATED" in page
    for gate in judge_gates(judged.report.figures, judged.settings.gates).gates:
        assert gate.name in page


def test_the_page_shows_what_confidence_was_worth_of_the_median_and_the_worst_seed(
    page: str, judged: Judged
) -> None:
    section = page[page.index("Whether its confidence means anything") :]
    for one in (judged.report.median, judged.report.seeds[0]):
        assert f"{one.confidence.expected_error:.3f} over {one.confidence.decisions:,}" in section
        for own in one.confidence.bins:
            cells = f"<td>{own.confidence or 0.0:.1%}</td><td>{own.frequency or 0.0:.1%}</td>"
            assert (cells + f"<td>{own.count:,}</td>" in section) is (own.count > 0)


def test_median_and_worst_seed_come_before_the_best(page: str, judged: Judged) -> None:
    seeds = judged.report.seeds
    names = [
        f"median seed ({judged.report.median.seed})",
        f"worst seed ({seeds[0].seed})",
        f"best seed ({seeds[-1].seed})",
    ]
    places = [page.index(name) for name in names]
    assert places == sorted(places)


def test_names_of_others_are_text_and_nothing_else(judged: Judged) -> None:
    strange = replace(judged.report, dataset="<script>alert(1)</script>")
    verdict = judge_gates(strange.figures, judged.settings.gates)
    assert "<script" not in report_page(strange, judged.curves, verdict, judged.settings, 1)


@given(
    returns=st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=400),
    hours=st.integers(1, 48),
    begin=st.integers(0, 700),
)
def test_months_compound_to_the_whole(returns: list[float], hours: int, begin: int) -> None:
    equity = np.concatenate(([100.0], 100.0 * np.cumprod(1.0 + np.array(returns))))
    close_time = begin * DAY + np.arange(len(equity), dtype=np.int64) * hours * HOUR
    months = monthly_returns(close_time, equity)
    assert np.prod([1.0 + one for one in months.values()]) == pytest.approx(equity[-1] / 100.0)


def test_what_closes_at_midnight_belongs_to_the_month_that_ends() -> None:
    january, february = 31 * DAY, 32 * DAY  # closes: the last of January, the first of February
    found = monthly_returns(
        np.array([january - HOUR, january, february]), np.array([1.0, 2.0, 3.0])
    )
    assert found == {(1970, 1): 1.0, (1970, 2): 0.5}


def test_a_page_is_the_same_every_time(page: str, judged: Judged) -> None:
    verdict = judge_gates(judged.report.figures, judged.settings.gates)
    assert report_page(judged.report, judged.curves, verdict, judged.settings, 2) == page
