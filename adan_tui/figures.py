"""Figures as an operator reads them: money, rates, ages, instants. A missing one is N/A."""

import math
from datetime import UTC, datetime

from adan_core.domain.time import DAY, HOUR, MINUTE, SECOND, Milliseconds

MISSING = "N/A"


def _absent(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def money(value: float | None, *, signed: bool = False) -> str:
    """Return an amount of quote currency with two decimals and grouped thousands."""
    if value is None or _absent(value):
        return MISSING
    rounded = round(value, 2) + 0.0  # no "-0.00"
    return f"{rounded:+,.2f}" if signed else f"{rounded:,.2f}"


def price(value: float | None) -> str:
    """Return a price with as many decimals as its size asks for."""
    if value is None or _absent(value):
        return MISSING
    size = abs(value)
    decimals = 2 if size >= 100 else 4 if size >= 1 else 6
    return f"{value:,.{decimals}f}"


def quantity(value: float | None) -> str:
    """Return a quantity of base currency, at most eight decimals, no trailing zeros."""
    if value is None or _absent(value):
        return MISSING
    text = f"{value:,.8f}" if abs(value) < 1 else f"{value:,.4f}"
    return text.rstrip("0").rstrip(".")


def percent(rate: float | None, *, signed: bool = False, decimals: int = 2) -> str:
    """Return a fraction as a percentage: 0.0123 -> ``1.23 %``."""
    if rate is None or _absent(rate):
        return MISSING
    rounded = round(rate * 100, decimals) + 0.0
    return f"{rounded:+.{decimals}f} %" if signed else f"{rounded:.{decimals}f} %"


def share(percentage: float | None) -> str:
    """Return a figure that already is a percentage, without decimals."""
    return MISSING if percentage is None or _absent(percentage) else f"{percentage:.0f} %"


def number(value: float | None, digits: int = 4) -> str:
    """Return a plain figure with ``digits`` significant digits."""
    if value is None or _absent(value):
        return MISSING
    return f"{value:.{digits}g}"


def count(value: int | None) -> str:
    """Return a whole number with grouped thousands."""
    return MISSING if value is None else f"{value:,}"


def size(amount: int | None) -> str:
    """Return bytes in the unit that keeps the figure short."""
    if amount is None:
        return MISSING
    left = float(amount)
    for unit in ("B", "KB", "MB", "GB"):
        if left < 1000:
            return f"{left:.0f} {unit}" if unit != "GB" else f"{left:.1f} {unit}"
        left /= 1024
    return f"{left:.1f} TB"


def age(duration: Milliseconds | None) -> str:
    """Return a duration in its two largest units: ``0.4 s``, ``42 s``, ``3 m 05 s``, ``2 d 04 h``."""
    if duration is None:
        return MISSING
    span = max(duration, 0)
    if span < 10 * SECOND:
        return f"{span // 100 / 10:.1f} s"
    if span < MINUTE:
        return f"{span // SECOND} s"
    if span < HOUR:
        return f"{span // MINUTE} m {span % MINUTE // SECOND:02d} s"
    if span < DAY:
        return f"{span // HOUR} h {span % HOUR // MINUTE:02d} m"
    return f"{span // DAY} d {span % DAY // HOUR:02d} h"


def span(duration: Milliseconds | None) -> str:
    """Return a duration to the minute, as candles need it: ``45 m``, ``3 h 10 m``, ``2 d 04 h``."""
    if duration is None:
        return MISSING
    whole = max(duration, 0)
    return f"{whole // MINUTE} m" if whole < HOUR else age(whole)


def seconds(duration: float | None) -> str:
    """Return seconds as :func:`age` does."""
    if duration is None or _absent(duration):
        return MISSING
    return age(int(max(duration, 0.0) * SECOND))


def running(duration: Milliseconds) -> str:
    """Return a run time as ``HH:MM:SS``, days before it where there are any."""
    span = max(duration, 0)
    days, rest = divmod(span, DAY)
    clock = f"{rest // HOUR:02d}:{rest % HOUR // MINUTE:02d}:{rest % MINUTE // SECOND:02d}"
    return f"{days} d {clock}" if days else clock


def latency(milliseconds: float | None) -> str:
    """Return milliseconds with the precision that matters."""
    if milliseconds is None or _absent(milliseconds):
        return MISSING
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"


def moment(instant: Milliseconds, *, utc: bool) -> datetime:
    """Return an instant as a date and time in UTC or in the machine's own zone."""
    stamp = datetime.fromtimestamp(instant / SECOND, UTC)
    return stamp if utc else stamp.astimezone()


def zone(*, utc: bool) -> str:
    """Return the word that says which times are shown."""
    return "UTC" if utc else "local"


def clock(instant: Milliseconds | None, *, utc: bool) -> str:
    """Return the time of day, to the second."""
    return MISSING if instant is None else moment(instant, utc=utc).strftime("%H:%M:%S")


def stamp(instant: Milliseconds | None, *, utc: bool) -> str:
    """Return month, day and time, to the minute; what a candle's time needs."""
    return MISSING if instant is None else moment(instant, utc=utc).strftime("%m-%d %H:%M")


def date(instant: Milliseconds | None, *, utc: bool) -> str:
    """Return the whole date and time, to the second."""
    return MISSING if instant is None else moment(instant, utc=utc).strftime("%Y-%m-%d %H:%M:%S")


_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(fraction: float | None, width: int) -> tuple[str, str]:
    """Return a bar of ``width`` cells as its filled and its empty part."""
    if fraction is None or _absent(fraction) or width <= 0:
        return "", "·" * max(width, 0)
    eighths = round(min(max(fraction, 0.0), 1.0) * width * 8)
    whole, part = divmod(eighths, 8)
    filled = "█" * whole + (_EIGHTHS[part] if part else "")
    return filled, "·" * (width - len(filled))
