"""Text that came from outside, made safe to draw, and text fitted into a number of cells."""

import re
import unicodedata

from rich.cells import cell_len, set_cell_size

LONGEST = 2_000
"""Characters kept of one piece of outside text; an exchange may answer with a megabyte."""

_ESCAPES = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles, links, the clipboard
    r"|(?:\x1b[P^_X]|[\x90\x9e\x9f\x98])[^\x1b\x9c]*(?:\x1b\\|\x9c)?"  # DCS, PM, APC, SOS
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]?"  # the other escapes
)
_SPACES = re.compile(r"\s+")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_REPLACED = "\ufffd"


def clean(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` as one line of printable characters, at most ``longest`` of them.

    Escape sequences, control characters, direction overrides and invisible characters are
    dropped; runs of white space become one space. Markup is left as it is: nothing that is drawn
    here is ever parsed.
    """
    if text.isascii() and text.isprintable() and len(text) <= longest:
        return text
    cut = text[: 2 * longest]
    spaced = _SPACES.sub(" ", _ESCAPES.sub("", cut))
    kept = []
    for character in spaced:
        category = unicodedata.category(character)
        if category == "Cs":
            kept.append(_REPLACED)
        elif category not in _DROPPED:
            kept.append(character)
    whole = "".join(kept)
    return whole if len(whole) <= longest and len(text) <= len(cut) else whole[: longest - 1] + "…"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return ``text`` in exactly ``width`` cells: padded, or cut and ended with an ellipsis."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - length)
    return padding + text if right else text + padding


def wrap(text: str, width: int) -> list[str]:
    """Return ``text`` broken at spaces into lines of at most ``width`` cells, long words cut."""
    if width <= 0:
        return []
    lines: list[str] = []
    line = ""
    for word in text.split():
        rest = word
        while rest:
            joined = f"{line} {rest}" if line else rest
            if cell_len(joined) <= width:
                line, rest = joined, ""
            elif line:
                lines.append(line)
                line = ""
            else:
                head = set_cell_size(rest, width).rstrip()
                taken = max(len(head), 1)
                lines.append(rest[:taken])
                rest = rest[taken:]
    if line:
        lines.append(line)
    return lines
