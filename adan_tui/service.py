"""Lines about the model in service: its own band, its challenger, and how far the market has drifted."""

from adan_core.domain.service import ServiceStatus
from adan_tui import figures
from adan_tui.lines import Ink, Line
from adan_tui.text import clean, fit

_NAME = 24


def succession_lines(status: ServiceStatus | None, width: int) -> list[Line]:
    """Return why nothing is traded, if so, and how the challenger stands against the champion."""
    if status is None:
        return []
    lines: list[Line] = []
    if status.aside:
        lines.append(((fit(f"OUT OF SERVICE: {clean(status.aside)}", width), Ink.BAD),))
    if status.challenger_note:
        lines.append(((fit(f"shadow  {clean(status.challenger_note)}", width), Ink.WARN),))
    rival, champion = status.challenger, status.champion
    if rival is not None and champion is not None:
        gap = figures.percent(status.difference, signed=True)
        lines.append(
            (
                ("shadow  ", Ink.FAINT),
                (f"{clean(rival.model_id, _NAME)} ", Ink.STRONG),
                (f"{figures.percent(rival.log_return, signed=True)}, ", Ink.MUTED),
                (f"{gap} beside the champion", Ink.TEXT),
                (f", {rival.candles:,} candles", Ink.MUTED),
            )
        )
    return lines


def standing_lines(status: ServiceStatus | None) -> list[Line]:
    """Return what the model in service earned beside what its judgement lets one expect, and drift."""
    if status is None or status.champion is None:
        return []
    champion, drift = status.champion, status.drift
    if status.drawdown_limit is None:
        band: str = f"N/A: {clean(status.band_note)}"
    else:
        floor = figures.percent(status.floor, signed=True)
        band = f"floor {floor}, at most {figures.percent(status.drawdown_limit)} down"
    under = status.floor is not None and champion.log_return < status.floor
    lines: list[Line] = [
        (
            ("model  ", Ink.MUTED),
            (figures.percent(champion.log_return, signed=True), Ink.BAD if under else Ink.STRONG),
            (
                f", {figures.percent(champion.drawdown)} down in {champion.candles:,} candles",
                Ink.MUTED,
            ),
            (f"; {band}", Ink.MUTED),
        )
    ]
    if drift is not None:
        outside = figures.percent(drift.outside, decimals=0)
        far = drift.outside is not None and drift.outside > drift.outside_limit
        distance, limit = drift.mix_distance, drift.mix_limit
        apart = distance is not None and limit is not None and distance > limit
        lines.append(
            (
                ("drift  ", Ink.MUTED),
                (f"{outside} outside its range", Ink.WARN if far else Ink.TEXT),
                (f" (limit {figures.percent(drift.outside_limit, decimals=0)}), ", Ink.MUTED),
                (f"actions {figures.number(distance, 2)} apart", Ink.WARN if apart else Ink.TEXT),
                (f" (limit {figures.number(limit, 2)}), ", Ink.MUTED),
                (f"entropy {figures.number(drift.entropy, 2)}", Ink.MUTED),
                (f" (judged {figures.number(drift.judged_entropy, 2)})", Ink.MUTED),
            )
        )
    return lines
