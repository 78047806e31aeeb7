"""Themes: colours checked, registered with Textual, and turned into the inks panes draw with."""

import re
from collections.abc import Mapping

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

from adan_core.domain.errors import ConfigurationError
from adan_core.domain.themes import THEME_ROLES
from adan_core.runtime.client import ScreenTheme
from adan_tui.lines import Ink
from adan_tui.text import clean

# It becomes the name of a style class, which may hold nothing else.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")

# What the first frame is drawn with, before the core has said which themes there are.
FIRST = Theme(
    name="adan-first-frame",
    dark=True,
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#e0af68",
    foreground="#c8d0e0",
    background="#12151c",
    surface="#191d26",
    panel="#222834",
    success="#8fc97a",
    warning="#e5b567",
    error="#ef6b73",
)


def textual_theme(theme: ScreenTheme) -> Theme:
    """Return ``theme`` as Textual takes it; ConfigurationError if a colour is missing or is none."""
    if not _NAME.fullmatch(theme.name):
        raise ConfigurationError(
            f"theme name {clean(theme.name, 40)!r}",
            "letters, digits, - and _, beginning with a letter",
            "rename the theme's file",
        )
    colours: dict[str, str] = {}
    for role in THEME_ROLES:
        written = theme.colours.get(role)
        if written is None:
            raise ConfigurationError(
                f"theme {clean(theme.name)} has no colour {role}",
                f"a colour for each of {', '.join(THEME_ROLES)}",
                "add it to the theme's file",
            )
        try:
            colours[role] = Color.parse(written).hex
        except ColorParseError as error:
            raise ConfigurationError(
                f"theme {clean(theme.name)}: {role} is {clean(str(written))!r}",
                "a colour such as #1e2030",
                "mend it in the theme's file",
            ) from error
    return Theme(
        name=theme.name,
        dark=theme.dark,
        primary=colours["primary"],
        secondary=colours["secondary"],
        accent=colours["accent"],
        foreground=colours["foreground"],
        background=colours["background"],
        surface=colours["surface"],
        panel=colours["panel"],
        success=colours["success"],
        warning=colours["warning"],
        error=colours["error"],
    )


def inks(theme: Theme) -> Mapping[Ink, Style]:
    """Return the style of every ink in ``theme``, text and background both set."""
    ground = Color.parse(theme.background or FIRST.background or "black")
    text = Color.parse(theme.foreground or "white")

    def on_ground(color: Color, *, bold: bool = False) -> Style:
        return Style(color=color.rich_color, bgcolor=ground.rich_color, bold=bold)

    def badge(color: Color) -> Style:
        dark = Color.parse("#101216")
        light = Color.parse("#ffffff")
        lettering = dark if color.brightness > 0.45 else light
        return Style(color=lettering.rich_color, bgcolor=color.rich_color, bold=True)

    primary = Color.parse(theme.primary)
    good = Color.parse(theme.success or theme.primary)
    warn = Color.parse(theme.warning or theme.primary)
    bad = Color.parse(theme.error or theme.primary)
    return {
        Ink.TEXT: on_ground(text),
        Ink.STRONG: on_ground(text, bold=True),
        Ink.MUTED: on_ground(text.blend(ground, 0.38)),
        Ink.FAINT: on_ground(text.blend(ground, 0.60)),
        Ink.TITLE: on_ground(primary, bold=True),
        Ink.ACCENT: on_ground(Color.parse(theme.accent or theme.primary)),
        Ink.BAR: on_ground(primary.blend(ground, 0.25)),
        Ink.GOOD: on_ground(good),
        Ink.WARN: on_ground(warn, bold=True),
        Ink.BAD: on_ground(bad, bold=True),
        Ink.BADGE: badge(primary),
        Ink.BADGE_GOOD: badge(good),
        Ink.BADGE_WARN: badge(warn),
        Ink.BADGE_BAD: badge(bad),
    }
