"""Which panes there are, where they stand, and how they share the tabs of a small screen."""

from adan_tui.pane import Draw, Pane, Watch
from adan_tui.panes import (
    alerts,
    decisions,
    equity,
    fills,
    health,
    log,
    orders,
    positions,
    regime,
    training,
)
from adan_tui.view import Feed

LEFT = ("positions", "decisions", "orders", "fills", "log")
RIGHT = ("equity", "regime", "alerts", "training", "health")

TABS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Trade", ("positions", "decisions")),
    ("Market", ("equity", "regime")),
    ("Orders", ("orders", "fills")),
    ("Alerts", ("alerts", "log")),
    ("System", ("training", "health")),
)

_PANES: dict[str, tuple[str, Draw, Watch, Feed]] = {
    "positions": ("Positions", positions.draw, positions.watch, Feed.MARKET),
    "decisions": ("Decisions", decisions.draw, decisions.watch, Feed.MARKET),
    "orders": ("Orders", orders.draw, orders.watch, Feed.CORE),
    "fills": ("Fills and closed trades", fills.draw, fills.watch, Feed.CORE),
    "log": ("Log", log.draw, log.watch, Feed.CORE),
    "equity": ("Equity", equity.draw, equity.watch, Feed.MARKET),
    "regime": ("Regime", regime.draw, regime.watch, Feed.MARKET),
    "alerts": ("Alerts", alerts.draw, alerts.watch, Feed.CORE),
    "training": ("Training", training.draw, training.watch, Feed.TRAINING),
    "health": ("Health", health.draw, health.watch, Feed.HEALTH),
}


def make_pane(name: str) -> Pane:
    """Return a new pane by its name."""
    title, draw, watch, feed = _PANES[name]
    return Pane(title, draw, watch, feed, id=name)
