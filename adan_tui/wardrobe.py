"""The themes the operator may choose from, each in its last good form."""

from collections.abc import Callable, Iterable

from textual.theme import Theme

from adan_core.domain.errors import ConfigurationError
from adan_core.runtime.client import ScreenTheme
from adan_tui.inks import textual_theme


class Wardrobe:
    """Checks themes, hands the good ones to ``register`` and knows their names in order."""

    def __init__(self, register: Callable[[Theme], None]) -> None:
        self._register = register
        self.names: tuple[str, ...] = ()

    def fill(self, themes: Iterable[ScreenTheme]) -> list[str]:
        """Take ``themes`` on and return what is wrong with any; a bad one keeps its last good form."""
        problems: list[str] = []
        names: list[str] = []
        for theme in themes:
            try:
                self._register(textual_theme(theme))
            except ConfigurationError as error:
                problems.append(str(error))
                if theme.name not in self.names:
                    continue
            names.append(theme.name)
        self.names = tuple(names)
        return problems

    def find(self, wanted: str, worn: str) -> tuple[str, str]:
        """Return the theme to wear and, where it is not the one wanted, why."""
        if wanted in self.names:
            return wanted, ""
        known = ", ".join(self.names) or "none"
        kept = worn if worn in self.names or not self.names else self.names[0]
        return kept, f"There is no theme {wanted}; there are: {known}"

    def after(self, worn: str) -> str:
        """Return the theme that follows ``worn``, or ``worn`` where there is no other."""
        if not self.names:
            return worn
        at = self.names.index(worn) if worn in self.names else -1
        return self.names[(at + 1) % len(self.names)]
