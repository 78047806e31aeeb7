"""A report's plots as inline SVG in the colours of the page, be it light or dark.

Each colour handed to the plotting library stands for a name of the page's style sheet and is replaced
by it afterwards. Lines differ in their strokes, too, and regimes have a lane each: colour alone tells
nothing.
"""

import io
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType
from numpy.typing import NDArray

from adan_core.domain.time import DAY
from adan_core.learning.baselines import BUY_AND_HOLD
from adan_core.learning.regime_model import REGIMES
from adan_core.learning.walk_forward import Curves

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Stand-ins that no plot uses by chance, and what the page calls them.
_INK: Final = "#010203"
_LINE: Final = "#020304"
_MEDIAN: Final = "#030405"
_WORST: Final = "#040506"
_HOLD: Final = "#050607"
_OTHER: Final = "#060708"
_REGIMES: Final = ("#070809", "#08090a", "#090a0b", "#0a0b0c", "#0b0c0d")
_NAMES: Final = {
    _INK: "ink",
    _LINE: "line",
    _MEDIAN: "median",
    _WORST: "worst",
    _HOLD: "hold",
    _OTHER: "other",
    **{colour: f"regime{code}" for code, colour in enumerate(_REGIMES)},
}

_STYLE: Final[dict[RcKeyType, Any]] = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched, and takes the page's font
    "font.size": 11.0,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
}
_WIDTH: Final = 9.6
# A wide screen shows no more than this beside each other; each holds its lowest and its highest.
_PLACES: Final = 700
_LANES: Final = 500


def equity_plot(curves: Curves, median: int, worst: int) -> str:
    """Return median and worst seed beside the plain strategies, over the regimes that were read."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 5.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.6, 1.0))
        _shade(above, below, curves)
        for name, equity in curves.strategies.items():
            if np.ptp(equity) > 0.0:  # a flat account is the zero line
                colour, stroke = (_HOLD, "-.") if name == BUY_AND_HOLD else (_OTHER, ":")
                _line(above, curves, np.log(equity / equity[0]), name, colour, stroke, 1.2)
        if worst != median:
            own = curves.seeds[worst]
            _line(
                above,
                curves,
                np.log(own / own[0]),
                f"worst seed ({worst})",
                _WORST,
                (0, (5, 2)),
                1.6,
            )
        own = curves.seeds[median]
        _line(above, curves, np.log(own / own[0]), f"median seed ({median})", _MEDIAN, "-", 2.2)
        above.axhline(0.0, color=_INK, linewidth=0.8)
        above.set_ylabel("log-return, net of costs")
        _legend(above)
        return _svg(figure, "equity")


def drawdown_plot(curves: Curves, median: int, worst: int) -> str:
    """Return how far median and worst seed, and holding, were below their peaks."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 2.9), layout="constrained")
        axes = figure.subplots()
        _line(axes, curves, _falls(curves.strategies[BUY_AND_HOLD]), BUY_AND_HOLD, _HOLD, "-.", 1.2)
        if worst != median:
            fall = _falls(curves.seeds[worst])
            _line(axes, curves, fall, f"worst seed ({worst})", _WORST, (0, (5, 2)), 1.6)
        fall = _falls(curves.seeds[median])
        _line(axes, curves, fall, f"median seed ({median})", _MEDIAN, "-", 2.2)
        axes.set_ylabel("below the peak, %")
        axes.set_ylim(top=0.0)
        _legend(axes)
        _dates(axes, curves)
        return _svg(figure, "drawdown")


def seeds_plot(curves: Curves, median: int) -> str:
    """Return every seed's curve, named at its end, and the range between them."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        logs = {seed: np.log(equity / equity[0]) for seed, equity in curves.seeds.items()}
        every = np.stack(list(logs.values()))
        lowest, highest = every.min(axis=0), every.max(axis=0)
        chosen = np.union1d(_extremes(lowest), _extremes(highest))
        axes.fill_between(
            _moments(curves.close_time[chosen]),
            lowest[chosen],
            highest[chosen],
            color=_MEDIAN,
            alpha=0.12,
            linewidth=0.0,
        )
        for seed, own in logs.items():
            if seed != median:
                _line(axes, curves, own, "", _INK, "-", 0.7)
        _line(axes, curves, logs[median], "", _MEDIAN, "-", 2.2)
        last = _moments(curves.close_time[-1:])[0]
        for seed, place in _spread_out(
            {seed: float(own[-1]) for seed, own in logs.items()}
        ).items():
            axes.annotate(
                f"s{seed}" + (" (median)" if seed == median else ""),
                (last, place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
            )
        axes.axhline(0.0, color=_INK, linewidth=0.8)
        axes.set_ylabel("log-return, net of costs")
        _dates(axes, curves)
        return _svg(figure, "seeds")


def _shade(above: Axes, below: Axes, curves: Curves) -> None:
    """Shade what lies under the curves by regime, and give each regime a lane of its own."""
    bins = np.array_split(curves.regimes, min(_LANES, len(curves.regimes)))
    edges = _moments(
        curves.close_time[np.cumsum([0, *map(len, bins)]).clip(max=len(curves.regimes) - 1)]
    )
    # The commonest regime of each place stands for it; what is not known has none.
    commonest = np.array(
        [int(np.bincount(known).argmax()) if len(known := one[one >= 0]) else -1 for one in bins]
    )
    begins = np.flatnonzero(np.append(True, commonest[1:] != commonest[:-1]))
    ends = np.append(begins[1:], len(commonest))
    for code, colour in enumerate(_REGIMES):
        own = commonest[begins] == code
        spans = list(zip(edges[begins[own]], edges[ends[own]] - edges[begins[own]], strict=True))
        lane = len(REGIMES) - 1 - code
        below.broken_barh(spans, (lane - 0.4, 0.8), facecolors=colour, linewidth=0.0)
        low, high = above.get_ylim()
        above.broken_barh(
            spans,
            (0.0, 1.0),
            facecolors=colour,
            linewidth=0.0,
            alpha=0.13,
            transform=above.get_xaxis_transform(),
        )
        above.set_ylim(low, high)
    below.set_yticks(range(len(REGIMES)), [str(one) for one in reversed(REGIMES)])
    below.tick_params(axis="y", length=0)
    below.grid(visible=False)
    above.set_ylim(auto=True)
    _dates(below, curves)


def _line(
    axes: Axes,
    curves: Curves,
    values: Floats,
    name: str,
    colour: str,
    stroke: str | tuple[int, Sequence[int]],
    width: float,
) -> None:
    chosen = _extremes(values)
    axes.plot(
        _moments(curves.close_time[chosen]),
        values[chosen],
        label=name,
        color=colour,
        linestyle=stroke,
        linewidth=width,
    )


def _falls(equity: Floats) -> Floats:
    """Return how far ``equity`` (n,) lies below its peak so far, in percent."""
    falls: Floats = 100.0 * (equity / np.maximum.accumulate(equity) - 1.0)
    return falls


def _extremes(values: Floats) -> Integers:
    """Return which of ``values`` (n,) are drawn: ends, and the lowest and highest of each place."""
    if len(values) <= 2 * _PLACES:
        return np.arange(len(values), dtype=np.int64)
    edges = np.linspace(0, len(values), _PLACES + 1).astype(np.int64)
    found = {0, len(values) - 1}
    for start, stop in pairwise(edges):
        part = values[start:stop]
        found |= {int(start + part.argmin()), int(start + part.argmax())}
    return np.array(sorted(found), dtype=np.int64)


def _spread_out(ends: Mapping[int, float]) -> dict[int, float]:
    """Return where each name is written: at its curve's end, but not upon its neighbour."""
    room = 0.09 * max(max(ends.values()) - min(ends.values()), 0.05)
    placed: dict[int, float] = {}
    for seed, end in sorted(ends.items(), key=lambda one: one[1]):
        placed[seed] = max(end, max(placed.values(), default=-np.inf) + room)
    return placed


def _moments(times: Integers) -> Floats:
    """Return ``times`` in the plotting library's days since 1970."""
    return times / DAY


def _legend(axes: Axes) -> None:
    """Name the lines above the plot, where they hide nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2)


def _dates(axes: Axes, curves: Curves) -> None:
    locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]  # theirs has no types
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlim(*_moments(curves.close_time[[0, -1]]))


def _svg(figure: Figure, name: str) -> str:
    """Return ``figure`` as an element of a page; nothing in it points anywhere else."""
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = text.replace("xlink:href", "href")
    for colour, known in _NAMES.items():
        text = text.replace(colour, f"var(--{known})")
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"',
        r"\1",
        re.sub(r' height="[^"]*pt"', "", text, count=1),
        count=1,
    )
