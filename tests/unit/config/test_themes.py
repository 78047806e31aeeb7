"""Themes are checked before they are drawn; a bad file leaves its last good form."""

from pathlib import Path

import pytest

from adan_core.config.locations import locate, shipped
from adan_core.config.themes import Theme, ThemeLibrary, read_theme, theme_folders
from adan_core.domain.errors import InvalidSettings
from adan_core.domain.themes import THEME_ROLES

SHIPPED = sorted((shipped() / "themes").glob("*.yaml"))
DARK = (shipped() / "themes" / "adan-dark.yaml").read_text()


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_theme_can_be_read_on_all_its_grounds(path: Path) -> None:
    theme = read_theme(path)
    least = 7.0 if theme.name == "adan-contrast" else 4.5
    for ground in ("background", "surface"):
        for role in ("foreground", "primary", "secondary", "accent", "success", "warning", "error"):
            found = contrast(theme.colours[role], theme.colours[ground])
            assert found >= least, f"{role} on {ground}: {found:.2f}"
    assert theme.dark == (luminance(theme.colours["background"]) < 0.5)


def test_there_is_a_dark_a_light_and_a_contrasting_theme() -> None:
    assert {path.stem for path in SHIPPED} >= {"adan-dark", "adan-light", "adan-contrast"}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"#7aa2f7"', "blue", "colours.primary: found 'blue'"),
        ('"#7aa2f7"', '"#7aa2f"', "colours.primary"),
        ('"#7aa2f7"', '"#7aa2f7[/x]"', "colours.primary"),
        ("primary:", "primry:", "colours.primry: unknown role"),
        ("dark: true", "dark: maybe", "dark: found 'maybe'"),
        ("dark: true", "dark: true\nshade: 3", "shade: unknown key"),
        ("schema_version: 1", "schema_version: 2", "schema_version: found 2"),
        ("name: adan-dark", "name: other", "as the file is called"),
        ("colours:", "colours: [", "not valid YAML"),
    ],
)
def test_a_bad_theme_is_refused_by_name_and_line(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    path = tmp_path / "adan-dark.yaml"
    path.write_text(DARK.replace(old, new))
    with pytest.raises(InvalidSettings) as caught:
        read_theme(path)
    assert any(named in problem and str(path) in problem for problem in caught.value.problems)


def test_the_operators_themes_extend_and_override_the_shipped_ones(tmp_path: Path) -> None:
    locations = locate(tmp_path, {})
    locations.themes_folder.mkdir(parents=True)
    (locations.themes_folder / "adan-dark.yaml").write_text(DARK.replace("#7aa2f7", "#123456"))
    (locations.themes_folder / "mine.yaml").write_text(DARK.replace("adan-dark", "mine"))
    themes = {theme.name: theme for theme in ThemeLibrary(theme_folders(locations)).themes}
    assert set(themes) == {path.stem for path in SHIPPED} | {"mine"}
    assert themes["adan-dark"].colours["primary"] == "#123456"
    assert set(themes["mine"].colours) == set(THEME_ROLES)


def test_a_bad_change_leaves_the_last_good_form_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "adan-dark.yaml"
    path.write_text(DARK)
    library = ThemeLibrary([tmp_path])
    good: tuple[Theme, ...] = library.themes
    path.write_text(DARK.replace("#7aa2f7", "nonsense"))
    assert any("colours.primary" in problem for problem in library.reload())
    assert library.themes == good
    path.write_text(DARK.replace("#7aa2f7", "#000001"))
    assert library.reload() == ()
    assert library.themes[0].colours["primary"] == "#000001"
    path.unlink()
    library.reload()
    assert library.themes == ()


def test_no_theme_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="no theme"):
        ThemeLibrary([tmp_path])
