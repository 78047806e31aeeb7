"""A walk-forward's report as one page that holds all it shows and asks nobody for anything."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import yaml

from adan_core.config.settings import Settings
from adan_core.data.split import Period
from adan_core.domain.time import iso
from adan_core.learning.baselines import BUY_AND_HOLD
from adan_core.learning.calendar_returns import monthly_returns
from adan_core.learning.closing_out import CLOSED_OUT
from adan_core.learning.evaluation import RegimeResult
from adan_core.learning.gates import GateVerdict
from adan_core.learning.metric_rows import METRICS
from adan_core.learning.metrics import PerformanceMetrics
from adan_core.learning.report_plots import drawdown_plot, equity_plot, seeds_plot
from adan_core.learning.report_words import reliability_rows, sharpe_line
from adan_core.learning.walk_forward import Curves, SeedResult, WalkForward

_STYLE: Final = """\
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1c2126; --faint: #565f68; --line: #c3c8cd;
  --median: #1554b0; --worst: #b23a12; --hold: #3f6d1c; --other: #74459c; --good: #1f6b2e;
  --bad: #a8231c; --regime0: #2f8a3c; --regime1: #c06a12; --regime2: #77818b; --regime3: #b39000;
  --regime4: #c21f2f; --card: #f1f2ef; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #dfe4e9; --faint: #9aa5af;
  --line: #444c54; --median: #7fb4ff; --worst: #ff9a6c; --hold: #a6d474; --other: #cda7f2;
  --good: #7fd68e; --bad: #ff8d84; --regime0: #57b866; --regime1: #e5944a; --regime2: #8d98a3;
  --regime3: #e0c040; --regime4: #ff5d6c; --card: #1c2126; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
  max-width: 66rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2.4rem 0 .5rem; }
p { margin: .3rem 0; } .note { color: var(--faint); font-size: .9rem; }
.verdict { background: var(--card); border-left: .35rem solid var(--line); padding: .7rem 1rem;
  margin: 1rem 0; font-weight: 600; }
.verdict.good { border-color: var(--good); } .verdict.bad { border-color: var(--bad); }
.wide { overflow-x: auto; } svg { width: 100%; height: auto; display: block; }
svg text { font-family: inherit !important; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0; }
th, td { padding: .18rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { color: var(--faint); font-weight: 600; } th:first-child, td:first-child { text-align: left; }
td.text, th.text { text-align: left; white-space: normal; color: var(--faint); font-size: .85rem; }
dl { columns: 2 26rem; font-size: .85rem; color: var(--faint); margin: .4rem 0; }
dl div { break-inside: avoid; } dt { font-weight: 600; display: inline; }
dt::after { content: ":"; } dd { display: inline; margin: 0; }
td.good { color: var(--good); } td.bad { color: var(--bad); }
"""


def report_page(
    report: WalkForward, curves: Curves, verdict: GateVerdict, settings: Settings, look: int
) -> str:
    """Return the page; ``look`` is which look at its test period the judgement was."""
    body = "\n".join(
        part
        for section in (
            _head(report, look),
            _gates(verdict),
            _figures(report),
            _plots(report, curves),
            _certainty(report, settings),
            _confidence(report),
            _regimes(report),
            _months(report, curves),
            _folds(report),
            _missing(report),
            _settings(settings),
        )
        for part in section
    )
    title = escape(f"Walk-forward of {report.dataset}")
    # The policy forbids the page whatever it might ask for: it can show nothing that is not in it.
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _head(report: WalkForward, look: int) -> Iterator[str]:
    market = "SIMULATED market" if report.synthetic else "recorded market"
    yield f"<h1>Walk-forward of {escape(report.dataset)}</h1>"
    yield (
        f"<p>{escape(report.symbol)} {escape(report.timeframe)}, {market}. Tested on "
        f"{report.candles:,} candles from {iso(report.test_start)} to {iso(report.test_stop)}, out of "
        f"sample: no fold has learnt from its test or from what came after. {len(report.folds)} folds, "
        f"{len(report.seeds)} seeds of {report.steps:,} steps.</p>"
    )
    yield (
        f'<p class="note">Net of {report.fee_rate:.2%} fee and {report.slippage_rate:.2%} slippage a '
        f"side. Look number {look} at this test period. Recipe {escape(report.recipe)}, candles "
        f"{escape(report.data_hash[:16])}. Each fold begins flat with the starting capital, and "
        f"{CLOSED_OUT}; their tests are joined.</p>"
    )


def _gates(verdict: GateVerdict) -> Iterator[str]:
    text = "The gates accept this recipe." if verdict.passed else "The gates refuse this recipe."
    yield f'<p class="verdict {"good" if verdict.passed else "bad"}">{text}</p>'
    rows = [
        _cells(
            gate.name,
            gate.figure,
            gate.limit,
            ("passed", "good") if gate.passed else ("no", "bad"),
            (gate.reason, "text"),
        )
        for gate in verdict.gates
    ]
    yield _table(_cells("gate", "found", "limit", "", ("", "text"), tag="th"), rows)


def _shown(report: WalkForward) -> list[tuple[str, SeedResult]]:
    """Return the seeds that are shown beside the strategies: the median, the worst, the best last."""
    return [
        (f"median seed ({report.median.seed})", report.median),
        (f"worst seed ({report.seeds[0].seed})", report.seeds[0]),
    ]


def _figures(report: WalkForward) -> Iterator[str]:
    best = report.seeds[-1]
    columns: list[tuple[str, PerformanceMetrics]] = [
        *((name, one.metrics) for name, one in _shown(report)),
        *((one.strategy, one.metrics) for one in report.strategies),
        (f"best seed ({best.seed})", best.metrics),
    ]
    rows = [
        _cells(
            row.label,
            *(_figure(getattr(metrics, row.key), row.form) for _, metrics in columns),
        )
        for row in METRICS
    ]
    yield "<h2>Figures</h2>"
    yield _table(_cells("", *(name for name, _ in columns), tag="th"), rows)
    yield '<p class="note">Returns are simple returns of equity, candle by candle, after every cost.</p>'
    named = "".join(
        f"<div><dt>{escape(row.label)}</dt> <dd>{escape(row.convention)}</dd></div>"
        for row in METRICS
    )
    yield f"<dl>{named}</dl>"


def _plots(report: WalkForward, curves: Curves) -> Iterator[str]:
    median, worst = report.median.seed, report.seeds[0].seed
    yield "<h2>Equity</h2>"
    yield (
        '<p class="note">Log-return since the first close; below, the regime that was read at each '
        "close from what was known by then.</p>"
    )
    yield f'<div class="wide">{equity_plot(curves, median, worst)}</div>'
    yield "<h2>Drawdown</h2>"
    yield f'<div class="wide">{drawdown_plot(curves, median, worst)}</div>'
    yield "<h2>Every seed</h2>"
    yield f'<div class="wide">{seeds_plot(curves, median)}</div>'


def _certainty(report: WalkForward, settings: Settings) -> Iterator[str]:
    kinds = list(report.median.stressed)
    level = report.median.interval.level
    yield "<h2>How sure this is</h2>"
    rows = [
        _cells(
            f"seed {one.seed}" + (" (median)" if one.seed == report.median.seed else ""),
            f"{one.interval.estimate:+.4f}",
            f"{one.interval.lower:+.4f} to {one.interval.upper:+.4f}",
            *(f"{one.stressed[kind]:+.4f}" for kind in kinds),
            f"{one.commonest_share:.1%}",
            ("SATURATED", "bad") if one.saturated else ("decides", ""),
        )
        for one in report.seeds
    ]
    head = ("worst first", "log-return", f"{level:.0%} interval", *kinds, "commonest wish", "")
    yield _table(_cells(*head, tag="th"), rows)
    stress = settings.judgement
    yield (
        f'<p class="note">Interval: {escape(report.median.interval.method)}, percentiles. Stress: fees '
        f"times {stress.stressed_fee:g}, or slippage times {stress.stressed_slippage:g}, decided anew by "
        "the same weights.</p>"
    )
    yield from (
        f"<p>Median seed beyond {escape(name)}: {excess:+.4f}"
        + (
            f"; after the stressed fee {report.stressed_excess[name]:+.4f}"
            if name in report.stressed_excess
            else ""
        )
        + ".</p>"
        for name, excess in report.excess.items()
    )
    chance = report.chance
    yield (
        f"<p>Random with equal turnover (the median seed's own spells in random order, {chance.draws} "
        f"draws): median {chance.median:+.4f}, 90 % within {chance.lower:+.4f} to {chance.upper:+.4f}; "
        f"the median seed beat {chance.beaten:.0%} of them.</p>"
    )
    yield (
        "<p>Probability that its true Sharpe ratio is above 0: "
        f"{_figure(report.probabilistic_sharpe, '.3f')}; deflated for {report.trials} trials (seeds "
        f"times recipes tried here): {_figure(report.deflated_sharpe, '.3f')} "
        '<span class="note">(Bailey &amp; Lopez de Prado 2012 and 2014, per candle)</span>. '
        f"{escape(sharpe_line(report))}</p>"
    )


def _confidence(report: WalkForward) -> Iterator[str]:
    yield "<h2>Whether its confidence means anything</h2>"
    yield (
        '<p class="note">Calibrated on each fold\'s validation, counted on its test. Right is a decision '
        "that earned more within its horizon, net, than the move it was weighed against.</p>"
    )
    for name, one in _shown(report):
        found = one.confidence
        rows = [_cells(*row) for row in reliability_rows(found)]
        head = _cells(f"{name}: confidence", "mean", "right", "decisions", tag="th")
        yield _table(head, rows)
        yield (
            f"<p>Expected calibration error {_figure(found.expected_error, '.3f')} over "
            f"{found.decisions:,} decisions whose horizon has passed.</p>"
        )


def _regimes(report: WalkForward) -> Iterator[str]:
    columns: list[tuple[str, tuple[RegimeResult, ...]]] = [
        *((name, one.by_regime) for name, one in _shown(report)),
        *((one.strategy, one.by_regime) for one in report.strategies),
    ]
    rows = [
        _cells(
            own.regime,
            f"{own.candles:,}",
            *(_figure(results[place].log_return, "+.4f") for _, results in columns),
            _figure(own.exposure, ".1%"),
        )
        for place, own in enumerate(report.median.by_regime)
    ]
    yield "<h2>By regime</h2>"
    head = ("log-return", "candles", *(name for name, _ in columns), "median's exposure")
    yield _table(_cells(*head, tag="th"), rows)


def _months(report: WalkForward, curves: Curves) -> Iterator[str]:
    yield "<h2>Month by month</h2>"
    yield (
        '<p class="note">Simple returns, months of UTC; the first and the last may be incomplete. '
        "Below each year what holding earned.</p>"
    )
    own = monthly_returns(curves.close_time, curves.seeds[report.median.seed])
    held = monthly_returns(curves.close_time, curves.strategies[BUY_AND_HOLD])
    rows = [
        _cells(
            name,
            *(_signed(earned.get((year, month))) for month in range(1, 13)),
            _year(earned, year),
        )
        for year in sorted({year for year, _ in own})
        for name, earned in ((f"{year} median", own), (f"{year} held", held))
    ]
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    yield _table(_cells("%", *names, "year", tag="th"), rows)


def _signed(value: float | None) -> tuple[str, str]:
    if value is None:
        return "", ""
    return f"{100.0 * value:+.1f}", "bad" if value < 0.0 else "good" if value > 0.0 else ""


def _year(earned: dict[tuple[int, int], float], year: int) -> tuple[str, str]:
    growth = 1.0
    for (own, _), value in earned.items():
        growth *= 1.0 + value if own == year else 1.0
    return _signed(growth - 1.0)


def _folds(report: WalkForward) -> Iterator[str]:
    yield "<h2>Folds</h2>"
    yield (
        '<p class="note">Validation: what the median seed\'s weights, chosen there, earned on it: '
        "log-return per 1000 candles. "
        "In brackets the candles of each period.</p>"
    )
    rows = [
        _cells(
            str(number),
            _span(fold.training),
            _span(fold.validation),
            f"{score:+.4f}",
            _span(fold.test),
        )
        for number, (fold, score) in enumerate(
            zip(report.folds, report.median.validation_scores, strict=True), start=1
        )
    ]
    yield _table(_cells("fold", "training", "validation", "earned there", "test", tag="th"), rows)


def _span(period: Period) -> str:
    first, last = (iso(time)[:10] for time in (period.start_time, period.stop_time))
    return f"{first} to {last} ({len(period):,})"


def _missing(report: WalkForward) -> Iterator[str]:
    shown = [*(one.metrics for one in report.seeds), *(one.metrics for one in report.strategies)]
    reasons = sorted(
        {
            f"{name.replace('_', ' ')}: {why}"
            for known in (*(one.unavailable for one in shown), report.unavailable)
            for name, why in known.items()
        }
    )
    if reasons:
        yield "<h2>Why some figures are N/A</h2>"
        yield from (f"<p>{escape(reason)}</p>" for reason in reasons)


def _settings(settings: Settings) -> Iterator[str]:
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, width=100)
    yield "<h2>Settings</h2>"
    yield f"<details><summary>all of them</summary><pre>{escape(text)}</pre></details>"


def _figure(value: float | None, form: str) -> str:
    return "N/A" if value is None else format(value, form)


def _cells(*cells: str | tuple[str, str], tag: str = "td") -> str:
    """Return a row; a cell is its text, or text and class."""
    pairs = [(cell, "") if isinstance(cell, str) else cell for cell in cells]
    return "".join(
        f'<{tag} class="{kind}">{escape(text)}</{tag}>'
        if kind
        else f"<{tag}>{escape(text)}</{tag}>"
        for text, kind in pairs
    )


def _table(head: str, rows: Sequence[str]) -> str:
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'
