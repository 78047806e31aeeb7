"""``adan-core config`` shows where every value comes from and names every problem."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from adan_core.cli import config
from adan_core.cli.context import Context
from adan_core.config.locations import locate
from adan_core.domain.errors import UsageError
from adan_core.domain.time import ManualClock


class Desk:
    def __init__(self, home: Path, environment: dict[str, str] | None = None) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.context = Context(
            home=locate(home, {}),
            clock=ManualClock(),
            stdin=io.StringIO(),
            stdout=self.out,
            stderr=self.err,
            environment=environment or {},
            overrides=("risk.take_profit=0.2",),
        )

    def run(self, *words: str) -> int:
        parser = argparse.ArgumentParser()
        config.configure(parser)
        return config.run(parser.parse_args(words), self.context)

    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out.getvalue())
        return document


def test_show_marks_each_value_with_its_layer_and_policy(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"ADAN_MARKET__SEED": "5"})
    assert desk.run("show", "--json") == 0
    document = desk.json()
    rows = {row["key"]: row for row in document["keys"]}
    assert document["schema_version"] == 1
    assert rows["market.seed"]["value"] == 5
    assert rows["market.seed"]["source"] == "environment"
    assert rows["market.seed"]["applies"] == "restart"
    assert rows["risk.take_profit"]["source"] == "command line"
    assert rows["risk.stop_loss"]["source"] == "default"
    assert rows["risk.stop_loss"]["limit"]
    assert rows["ladders.5m"]["applies"] == "restart"


def test_show_for_people_says_the_same_and_which_tiers_do_not_trade(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"ADAN_RULES__MINIMUM_NOTIONAL": "12.0"})
    assert desk.run("show") == 0
    text = desk.out.getvalue()
    assert "rules.minimum_notional" in text
    assert "[now, limit]" in text
    assert "tier micro does not trade" in text
    assert "tier high does not trade" not in text


def test_check_names_every_problem_of_a_file_and_ends_with_2(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("market: {sed: 1}\ncosts: {fee_rate: x}\nscreen: {theme: 3}\n")
    desk = Desk(tmp_path)
    assert desk.run("check", str(file), "--json") == 2
    document = desk.json()
    assert not document["valid"]
    text = "\n".join(document["problems"])
    for key in ("market.sed", "costs.fee_rate", "screen.theme"):
        assert key in text
    assert desk.run("check", str(file)) == 2
    assert desk.err.getvalue().count("adan-core: ") == 3


def test_check_knows_themes_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.context.home.themes_folder.mkdir(parents=True)
    (desk.context.home.themes_folder / "mine.yaml").write_text("name: other\n")
    desk.context.home.settings_file.write_text("screen: {theme: adan-drak}\n")
    assert desk.run("check") == 2
    text = desk.err.getvalue()
    assert "mine.yaml" in text
    assert "adan-settings" not in text
    assert "screen.theme: found 'adan-drak'; expected one of: adan-contrast" in text


def test_check_without_problems_ends_with_0(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.run("check") == 0
    assert "config hash" in desk.out.getvalue()


def test_check_of_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml"):
        Desk(tmp_path).run("check", str(tmp_path / "none.yaml"))


def test_locations_lie_in_the_home(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.run("locations", "--json") == 0
    places = desk.json()["locations"]
    assert places["kill_latch"] == str(tmp_path / "state" / "kill.json")
    assert Path(places["shipped"]).is_dir()
    assert desk.run("locations") == 0
    assert "(not there yet)" in desk.out.getvalue()
