"""README can be followed: every command in it exists as written; `make tour` carries them out."""

import re
from importlib import import_module

import pytest

from adan_core.cli.main import COMMANDS, main
from adan_tui import main as screen
from tests.tour.readme import ROOT, Line, blocks, inline

_IN_BLOCKS = [line for block in blocks() for line in block]
_ALL = sorted({*_IN_BLOCKS, *inline()}, key=str)


def of(program: str) -> list[Line]:
    return [line for line in _ALL if line.program == program]


def test_the_blocks_are_found_whole() -> None:
    first, tour, control, mine, exchange = blocks()
    assert [str(line) for line in first] == ["make run", "make test"]
    assert str(tour[0]) == "adan-core doctor"
    assert [line for line in control if line.waits] == [control[0]]
    assert mine[0].words[:3] == ("adan-core", "data", "import")
    assert [line for line in exchange if line.waits] == [exchange[0]]


@pytest.mark.parametrize("line", of("adan-core"), ids=str)
def test_the_core_understands(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = line.words[1:]
    if len(asked) == 1 and asked[0] in {"data", "models", "keys"}:
        asked = (*asked, "list")
    carried = import_module(f"adan_core.cli.{COMMANDS[asked[0]][1]}")
    monkeypatch.setattr(carried, "run", lambda _arguments, _context: 0)
    with pytest.raises(SystemExit) as end:
        main(asked)
    assert end.value.code == 0


@pytest.mark.parametrize("line", of("adan-tui"), ids=str)
def test_the_screen_understands(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_show", lambda _arguments, **_far: 0)
    monkeypatch.setattr("adan_tui.terminal.is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    with pytest.raises(SystemExit) as end:
        screen.main(line.words[1:])
    assert end.value.code == 0


def test_make_has_every_target_that_readme_names() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.words[1] for line in of("make")} <= targets


_ACTIONS = [
    *("data import", "data list", "data check", "data sample", "data features", "data leakcheck"),
    *("data download", "data export", "data remove", "data cache"),
    *("models list", "models show"),
    *("keys set", "keys list", "keys remove", "config show", "config check", "config locations"),
]


@pytest.mark.parametrize("name", [*COMMANDS, *_ACTIONS])
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--help"])
    assert end.value.code == 0
    assert re.search(rf"examples?:\s+adan-core\b.* {name}\b", capsys.readouterr().out)
