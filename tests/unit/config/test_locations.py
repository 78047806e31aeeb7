"""Every file ADAN writes moves with its home; the socket's path always fits a socket."""

import dataclasses
import os
from pathlib import Path

import pytest

from adan_core.config.locations import Locations, locate, shipped


def test_the_option_beats_the_variable_beats_the_platform(tmp_path: Path) -> None:
    variable = {"ADAN_HOME": str(tmp_path / "variable")}
    assert locate(tmp_path / "option", variable).config == tmp_path / "option" / "config"
    assert locate(None, variable).config == tmp_path / "variable" / "config"
    assert "adan" in str(locate(None, {}).config)
    assert locate(None, {"ADAN_HOME": ""}) == locate(None, {})


def test_with_a_home_every_path_lies_inside_it(tmp_path: Path) -> None:
    home = tmp_path / "h"
    locations = locate(home, {})
    fields = [getattr(locations, field.name) for field in dataclasses.fields(Locations)]
    properties = [
        getattr(locations, name)
        for name, member in vars(Locations).items()
        if isinstance(member, property) and name != "socket"
    ]
    assert len(properties) > 10
    for path in fields + properties:
        assert path.is_relative_to(home)
    assert not home.exists()


def test_a_relative_home_does_not_follow_the_working_directory() -> None:
    assert locate(Path("somewhere"), {}).state == Path.cwd() / "somewhere" / "state"


def test_the_socket_path_fits_and_differs_per_home(tmp_path: Path) -> None:
    short = locate(Path("/h"), {})
    assert short.socket == Path("/h/run/core.sock")
    long = [locate(tmp_path / ("x" * 120) / str(number), {}).socket for number in range(2)]
    assert long[0] != long[1]
    for path in long:
        assert len(os.fsencode(path)) < 100


def test_shipped_files_are_found_from_any_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (shipped() / "configs").is_dir()
    assert (shipped() / "themes").is_dir()
