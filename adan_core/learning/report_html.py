"""A walk-forward's report as one page: everything in it, nothing fetched, readable by day and by night."""

import html
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Settings
from adan_core.domain.time import iso
from adan_core.learning.gates import GateVerdict
from adan_core.learning.metrics import PerformanceMetrics
from adan_core.learning.regime_model import REGIMES
from adan_core.learning.walk_forward import Curves, WalkForward

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Seen on white and on black: text and axes in one grey, lines in colours of middling lightness.
_GREY: Final = "#808080"
_COLOURS: Final = ("#2f81c7", "#d0702c", "#3a9a5c", "#a65fb5", "#b09020")
_REGIME_COLOURS: Final = ("#3a9a5c", "#c7503f", "#808080", "#d0902c", "#a02fb0")
_MOST_POINTS: Final = 2_000

_STYLE: Final = """\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #80808040; }
th:first-child, td:first-child { text-align: left; }
.no { color: #c7503f; font-weight: 600; } .yes { color: #3a9a5c; } .note { color: #808080; }
svg { width: 100%; height: auto; } .wide { overflow-x: auto; }
"""

_ROWS: Final = (
    ("total return", "total_return", "+.2%"),
    ("log-return", "log_return", "+.4f"),
    ("annual return (CAGR, 365 days)", "annual_return", "+.2%"),
    ("Sharpe (365 days, risk-free 0)", "sharpe_ratio", "+.2f"),
    ("Sortino (target 0, 365 days)", "sortino_ratio", "+.2f"),
    ("Calmar (CAGR over max drawdown)", "calmar_ratio", "+.2f"),
    ("max drawdown", "max_drawdown", ".2%"),
    ("win rate (closed trades)", "win_rate", ".1%"),
    ("profit factor (money won over lost)", "profit_factor", ".2f"),
    ("VaR 95 of a candle (historical)", "var_95", "+.3%"),
    ("expected shortfall of a candle", "expected_shortfall", "+.3%"),
    ("turnover (traded over mean equity)", "turnover", ".1f"),
    ("fees, quote currency", "fees", ",.2f"),
    ("exposure", "exposure", ".1%"),
    ("trades", "trades", "d"),
    ("trades a day", "trades_per_day", ".2f"),
    ("composite score", "composite_score", "+.3f"),
)


def report_page(
    report: WalkForward, curves: Curves, verdict: GateVerdict, settings: Settings
) -> str:
    """Return the page; its plots are SVG within it."""
    kind = " (SIMULATED)" if report.synthetic else ""
    title = f"{report.dataset}: {report.symbol} {report.timeframe}{kind}, walk-forward"
    accepted = (
        "The gates accept this recipe." if verdict.passed else "The gates refuse this recipe."
    )
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{len(report.folds)} folds, {len(report.seeds)} seeds of {report.steps:,} steps; tested on "
        f"{report.candles:,} candles from {iso(report.test_start)} to {iso(report.test_stop)}, out of "
        f"sample, net of {report.fee_rate:.2%} fee and {report.slippage_rate:.2%} slippage a side. "
        f"<strong class='{'yes' if verdict.passed else 'no'}'>{accepted}</strong></p>",
        "<h2>Figures</h2>",
        _figures(report),
        "<h2>Equity of the median seed and of plain strategies</h2>",
        _svg(_equity(report, curves)),
        _legend(),
        "<h2>All seeds</h2>",
        _svg(_fan(report, curves)),
        _seeds(report),
        "<h2>Drawdown of the median seed</h2>",
        _svg(_drawdown(report, curves)),
        "<h2>Months of the median seed</h2>",
        _months(report, curves),
        "<h2>By regime</h2>",
        _regimes(report),
        "<h2>Chance</h2>",
        _chance(report),
        "<h2>Gates</h2>",
        _gates(verdict),
        "<h2>Folds</h2>",
        _folds(report),
        "<h2>Settings</h2>",
        f"<p class='note'>data {html.escape(report.data_hash)}, recipe {report.recipe}</p>",
        f"<details><summary>all of them</summary><pre>{html.escape(_settings(settings))}</pre></details>",
    ]
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}"
        f"</title><style>{_STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are text, but for those that begin with a tag of ours."""

    def cell(tag: str, text: str) -> str:
        return f"<{tag}>{text if text.startswith('<span') else html.escape(text)}</{tag}>"

    lines = ["<tr>" + "".join(cell("th", one) for one in head) + "</tr>"]
    lines += ["<tr>" + "".join(cell("td", one) for one in row) + "</tr>" for row in rows]
    return "<div class='wide'><table>" + "".join(lines) + "</table></div>"


def _text(value: float | None, form: str) -> str:
    return "N/A" if value is None else format(value, form)


def _shown(report: WalkForward) -> list[tuple[str, PerformanceMetrics]]:
    """Return the columns of the table of figures: the worst seed first."""
    worst, best = report.seeds[0], report.seeds[-1]
    return [
        (f"worst (s{worst.seed})", worst.metrics),
        (f"median (s{report.median.seed})", report.median.metrics),
        (f"best (s{best.seed})", best.metrics),
        *((one.strategy, one.metrics) for one in report.strategies),
    ]


def _figures(report: WalkForward) -> str:
    shown = _shown(report)
    why = sorted(
        {f"{name}: {reason}" for _, one in shown for name, reason in one.unavailable.items()}
    )
    note = f"<p class='note'>N/A: {html.escape('; '.join(why))}</p>" if why else ""
    rows = (
        [label, *(_text(getattr(metrics, key), form) for _, metrics in shown)]
        for label, key, form in _ROWS
    )
    return _table(["", *(name for name, _ in shown)], rows) + note


def _seeds(report: WalkForward) -> str:
    kinds = list(report.median.stressed)
    level = f"{report.median.interval.level:.0%} interval"
    rows = (
        [
            f"s{one.seed}",
            f"{one.interval.estimate:+.4f}",
            f"{one.interval.lower:+.4f} to {one.interval.upper:+.4f}",
            *(f"{one.stressed[kind]:+.4f}" for kind in kinds),
            f"{one.commonest_share:.1%}" + (" saturated" if one.saturated else ""),
        ]
        for one in report.seeds
    )
    head = ["seed (worst first)", "log-return", level, *kinds, "commonest wish"]
    method = html.escape(report.median.interval.method)
    return _table(head, rows) + f"<p class='note'>intervals: {method}</p>"


def _regimes(report: WalkForward) -> str:
    rows = []
    for place, own in enumerate(report.median.by_regime):
        others = (one.by_regime[place].log_return for one in report.strategies)
        cells = [own.log_return, *others]
        rows.append([f"{own.regime} ({own.candles:,})", *(_text(one, "+.4f") for one in cells)])
    return _table(["log-return", "median seed", *(one.strategy for one in report.strategies)], rows)


def _chance(report: WalkForward) -> str:
    chance = report.chance
    rows = [
        *(
            [f"median seed beyond {name}", f"{excess:+.4f}"]
            for name, excess in report.excess.items()
        ),
        *(
            [f"the same after the stressed fee, beyond {name}", f"{excess:+.4f}"]
            for name, excess in report.stressed_excess.items()
        ),
        ["its own spells in random order, median", f"{chance.median:+.4f}"],
        ["90 % of the random orders", f"{chance.lower:+.4f} to {chance.upper:+.4f}"],
        ["random orders it beat", f"{chance.beaten:.0%} of {chance.draws}"],
        ["probabilistic Sharpe ratio", _text(report.probabilistic_sharpe, ".3f")],
        [f"deflated for {report.trials} trials", _text(report.deflated_sharpe, ".3f")],
    ]
    return _table(["", ""], rows)


def _gates(verdict: GateVerdict) -> str:
    rows = (
        [
            gate.name,
            gate.figure,
            gate.limit,
            "<span class='yes'>passed</span>"
            if gate.passed
            else f"<span class='no'>no: {html.escape(gate.reason)}</span>",
        ]
        for gate in verdict.gates
    )
    return _table(["gate", "found", "limit", ""], rows)


def _folds(report: WalkForward) -> str:
    rows = (
        [str(number), str(one.training), str(one.validation), str(one.test)]
        for number, one in enumerate(report.folds, 1)
    )
    return _table(["fold", "training", "validation", "test"], rows)


def _months(report: WalkForward, curves: Curves) -> str:
    """Return a row per year and a column per month, UTC: the simple return within it."""
    equity = curves.seeds[report.median.seed]
    months = curves.close_time.astype("datetime64[ms]").astype("datetime64[M]")
    ends = np.append(np.flatnonzero(np.diff(months.astype(np.int64))), len(equity) - 1)
    begins = np.concatenate(([equity[0]], equity[ends[:-1]]))
    grown = equity[ends] / begins - 1.0
    by_year: dict[str, dict[int, float]] = {}
    for month, value in zip(months[ends].astype(str).tolist(), grown.tolist(), strict=True):
        year, _, number = month.partition("-")
        by_year.setdefault(year, {})[int(number)] = value
    rows = (
        [year, *(f"{own[month]:+.1%}" if month in own else "" for month in range(1, 13))]
        for year, own in sorted(by_year.items())
    )
    return _table(["", *(f"{month:02d}" for month in range(1, 13))], rows)


def _legend() -> str:
    squares = " ".join(
        f"<span style='color:{colour}'>&#9632;</span> {html.escape(str(regime))}"
        for regime, colour in zip(REGIMES, _REGIME_COLOURS, strict=True)
    )
    return f"<p class='note'>shaded by the regime known at each close: {squares}</p>"


def _settings(settings: Settings) -> str:
    import yaml

    text: str = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, width=100)
    return text


def _axes(height: float) -> "tuple[Figure, Axes]":
    # The figure alone, not pyplot: that would choose a screen and keep every figure.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, height), layout="constrained")
    axes = figure.add_subplot()
    figure.patch.set_alpha(0.0)
    axes.patch.set_alpha(0.0)
    axes.tick_params(colors=_GREY)
    axes.grid(color=_GREY, alpha=0.25, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(_GREY)
    return figure, axes


def _thinned(values: NDArray[Any]) -> NDArray[Any]:
    """Return as many points as a page shows, the last among them."""
    step = max(1, len(values) // _MOST_POINTS)
    return values[::-1][::step][::-1]


def _times(curves: Curves) -> NDArray[Any]:
    return _thinned(curves.close_time).astype("datetime64[ms]")


def _label(axes: "Axes") -> None:
    axes.legend(frameon=False, labelcolor=_GREY)
    axes.margins(x=0.0)


def _equity(report: WalkForward, curves: Curves) -> "Figure":
    figure, axes = _axes(4.2)
    times = _times(curves)
    axes.plot(
        times,
        _thinned(curves.seeds[report.median.seed]),
        color=_COLOURS[0],
        linewidth=1.6,
        label=f"median seed (s{report.median.seed})",
    )
    for colour, (name, equity) in zip(_COLOURS[1:], curves.strategies.items(), strict=False):
        axes.plot(times, _thinned(equity), color=colour, linewidth=1.0, label=name)
    axes.set_yscale("log")
    regimes = _thinned(curves.regimes)
    low, high = axes.get_ylim()
    for code, colour in enumerate(_REGIME_COLOURS):
        axes.fill_between(
            times, low, high, where=regimes == code, color=colour, alpha=0.10, linewidth=0.0
        )
    axes.set_ylim(low, high)
    axes.set_ylabel("equity, quote currency (log)", color=_GREY)
    _label(axes)
    return figure


def _fan(report: WalkForward, curves: Curves) -> "Figure":
    figure, axes = _axes(3.6)
    times = _times(curves)
    together = np.stack([_thinned(equity) for equity in curves.seeds.values()])
    axes.fill_between(
        times, together.min(axis=0), together.max(axis=0), color=_COLOURS[0], alpha=0.15
    )
    for seed, equity in curves.seeds.items():
        middle = seed == report.median.seed
        axes.plot(
            times,
            _thinned(equity),
            color=_COLOURS[0],
            alpha=1.0 if middle else 0.45,
            linewidth=1.6 if middle else 0.8,
            label="median seed" if middle else None,
        )
    axes.set_ylabel("equity, quote currency", color=_GREY)
    _label(axes)
    return figure


def _drawdown(report: WalkForward, curves: Curves) -> "Figure":
    figure, axes = _axes(2.4)
    equity = curves.seeds[report.median.seed]
    fall = 100.0 * (equity / np.maximum.accumulate(equity) - 1.0)
    axes.fill_between(_times(curves), _thinned(fall), 0.0, color=_REGIME_COLOURS[1], alpha=0.5)
    axes.set_ylabel("% below the peak", color=_GREY)
    axes.margins(x=0.0)
    return figure


def _svg(figure: "Figure") -> str:
    """Return the figure as an SVG element; the same figure gives the same text."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "adan", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    whole = text.getvalue()
    found = re.search(r"<svg.*</svg>", whole, re.DOTALL)
    if found is None:
        raise ValueError("matplotlib wrote no SVG element")
    # Its references to vocabularies of metadata are nothing a page has to fetch, or to name.
    return re.sub(r"<metadata>.*?</metadata>", "", found.group(), flags=re.DOTALL)
