"""Text from outside is drawn as it is, on one line, and can do nothing."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from adan_tui.text import LONGEST, clean, fit, wrap

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x07\x9b\x9d\x00\n\r\t\u202e\u2066\u200b\ufeff\u2028[]@=/\\"),
    ),
    max_size=300,
)


@given(HOSTILE)
def test_nothing_that_steers_a_terminal_or_the_reader_survives(text: str) -> None:
    for character in clean(text):
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(HOSTILE)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=200))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("[/foo]", "[/foo]"),
        ("[@click=app.exit]press[/]", "[@click=app.exit]press[/]"),
        ("\x1b]52;c;c2VjcmV0\x07ok", "ok"),
        ("\x1b]0;title\x1b\\ok", "ok"),
        ("\x9d52;c;x\x9cok", "ok"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1bPq#0\x1b\\ok", "ok"),
        ("abc\u202edef", "abcdef"),
        ("a\nb\tc", "a b c"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("\x1b", ""),
    ],
)
def test_known_attacks_are_shown_literally_or_dropped(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


def test_a_megabyte_is_cut_and_says_so() -> None:
    shown = clean("A" * 1_000_000)
    assert len(shown) == LONGEST
    assert shown.endswith("…")


@given(HOSTILE, st.integers(0, 60), st.booleans())
def test_fitted_text_takes_exactly_its_cells(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(clean(text), width, right=right)) == width


@given(HOSTILE, st.integers(2, 60))
def test_wrapped_text_keeps_every_word_and_the_width(text: str, width: int) -> None:
    plain = clean(text)
    lines = wrap(plain, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(plain.split())
