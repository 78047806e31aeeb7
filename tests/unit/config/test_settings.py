"""Settings: four layers, one validation, every problem named where it stands."""

from pathlib import Path

import pytest

from adan_core.config.loading import load_settings, settings_hash, shipped_settings_file
from adan_core.config.locations import Locations, locate
from adan_core.config.policy import Applies, key_policies
from adan_core.config.settings import Settings
from adan_core.config.sources import Layer, file_values
from adan_core.domain.errors import InvalidSettings


@pytest.fixture
def locations(tmp_path: Path) -> Locations:
    return locate(tmp_path, {})


def write(locations: Locations, text: str) -> None:
    locations.config.mkdir(exist_ok=True)
    locations.settings_file.write_text(text)


def problems(
    locations: Locations,
    overrides: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(locations, overrides, environment)
    return caught.value.problems


def test_the_upper_layer_wins_and_is_named(locations: Locations) -> None:
    key = "market.seed"
    assert load_settings(locations).sources[key].layer is Layer.DEFAULT
    write(locations, "market:\n  seed: 1\n")
    loaded = load_settings(locations)
    assert (loaded.settings.market.seed, loaded.sources[key].layer) == (1, Layer.FILE)
    assert loaded.sources[key].place == f"{locations.settings_file}:2"
    environment = {"ADAN_MARKET__SEED": "2"}
    loaded = load_settings(locations, environment=environment)
    assert (loaded.settings.market.seed, loaded.sources[key].layer) == (2, Layer.ENVIRONMENT)
    loaded = load_settings(locations, ["market.seed=3"], environment)
    assert (loaded.settings.market.seed, loaded.sources[key].layer) == (3, Layer.COMMAND_LINE)


def test_a_file_needs_only_what_it_changes(locations: Locations) -> None:
    write(locations, "ladders: {30m: [30m, 4h]}\nmonitoring: {disk_warning: 70.0}\n")
    loaded, default = load_settings(locations), load_settings(locate(Path("nowhere"), {}))
    assert loaded.settings.monitoring.disk_warning == 70.0
    assert loaded.settings.monitoring.disk_critical == default.settings.monitoring.disk_critical
    assert set(loaded.settings.ladders) > set(default.settings.ladders)


def test_what_a_reader_does_to_a_file_s_values_the_next_reader_does_not_see(
    locations: Locations,
) -> None:
    write(locations, "market: {symbols: [BTC/SIM]}\n")
    for _ in range(2):
        values = file_values(locations.settings_file)
        assert values.tree == {"market": {"symbols": ["BTC/SIM"]}}
        values.tree["market"]["symbols"].append("ETH/SIM")
    write(locations, "market: {symbols: [ETH/SIM]}\n")
    assert file_values(locations.settings_file).tree == {"market": {"symbols": ["ETH/SIM"]}}


def test_every_key_is_written_in_the_shipped_file(locations: Locations) -> None:
    loaded = load_settings(locations)
    assert {origin.layer for origin in loaded.sources.values()} == {Layer.DEFAULT}
    for key in key_policies(Settings):
        assert any(name == key or name.startswith(f"{key}.") for name in loaded.sources), key


def test_the_comment_behind_each_key_says_its_policy(locations: Locations) -> None:
    lines = shipped_settings_file().read_text().splitlines()
    sources = load_settings(locations).sources
    for key, policy in key_policies(Settings).items():
        if key in {"schema_version", "ladders", "risk.tiers", "tuning.space"}:
            continue
        place = sources[key].place
        comment = lines[int(place.rpartition(":")[2]) - 1].partition("#")[2]
        word = f"{policy.applies}, limit" if policy.limit else policy.applies
        assert comment.strip().startswith(f"[{word}]"), key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("market:\n  sed: 1\n", (":2: market.sed: unknown key", "did you mean seed?")),
        ("markt: {}\n", (":1: markt: unknown key", "did you mean market?")),
        ("costs:\n\n  fee_rate: high\n", (":3: costs.fee_rate", '"high"', "number")),
        ("learning: {copies: true}\n", ("learning.copies", "true", "whole number")),
        ("learning: {copies: 1.5}\n", ("learning.copies", "1.5", "whole number")),
        ("costs: {fee_rate: .nan}\n", ("costs.fee_rate", "finite")),
        ("market: {timeframe: 12:30}\n", ("market.timeframe", "12:30")),
        ("market: {seed: 1, seed: 2}\n", (":1: market.seed", "again")),
        ("market: [\n", ("not valid YAML",)),
        ("[1, 2]\n", ("list", "keys with values")),
        ("market: {timeframe: 30m}\n", ("market.timeframe 30m has no ladder",)),
        ("ladders: {5m: [5m, 7m]}\n", ("7m is no whole number of 5m",)),
        ("market: {source: dataset}\n", ("market.dataset must name one",)),
        ("account: {quote: EUR}\n", ("BTC/SIM must be quoted in", "EUR")),
        ("learning: {exposures: [0.0, 0.5]}\n", ("exposures must", "1.0")),
        ("monitoring: {disk_warning: 96.0}\n", ("disk_warning 96 must lie below",)),
        ("rules: {symbols: {BTC/SIM: {lot: 1.0}}}\n", ("BTC/SIM.lot: unknown key", "lot_step")),
        (
            "tuning: {space: {costs.fee_rate: {low: 0.0, high: 0.001}}}\n",
            ("costs.fee_rate", "learning.*"),
        ),
    ],
)
def test_a_problem_names_the_line_what_was_found_and_what_was_expected(
    locations: Locations, text: str, expected: tuple[str, ...]
) -> None:
    write(locations, text)
    found = problems(locations)
    assert len(found) == 1
    for part in expected:
        assert part in found[0]


def test_every_problem_of_every_layer_is_named(locations: Locations) -> None:
    write(locations, "market: {sed: 1}\nscreen: {time_zone: CET}\n")
    found = problems(
        locations,
        ("costs.fee_rate=-1.0", "nonsense"),
        {"ADAN_HOME": "elsewhere", "ADAN_FRESH": "1", "ADAN_RISK__TIERS": "[{name: x}]"},
    )
    text = "\n".join(found)
    for part in ("market.sed", "time_zone", "--set costs.fee_rate=-1.0", "--set nonsense"):
        assert part in text
    assert "environment variable ADAN_FRESH" in text
    assert "environment variable ADAN_RISK__TIERS: risk.tiers.0.lower: is missing" in text
    assert "ADAN_HOME" not in text


@pytest.mark.parametrize(
    ("algorithm", "action"), [("SAC", "discrete"), ("PPO", "continuous"), ("QRDQN", "continuous")]
)
def test_an_algorithm_and_actions_it_cannot_take_are_refused_where_they_are_set(
    locations: Locations, algorithm: str, action: str
) -> None:
    set_to = (f"learning.algorithm.name={algorithm}", f"learning.action={action}")
    (problem,) = problems(locations, set_to)
    assert f"{algorithm} cannot take {action} actions" in problem
    assert "set action, too" in problem
    both = ("learning.algorithm.name=SAC", "learning.action=continuous")
    assert load_settings(locations, both).settings.learning.action == "continuous"


def test_the_hash_follows_the_values_alone(locations: Locations, tmp_path: Path) -> None:
    first = load_settings(locations)
    write(locations, "# a comment\nmarket: {seed: 7}\n")
    assert load_settings(locations).config_hash == first.config_hash
    assert settings_hash(first.settings) == first.config_hash
    assert load_settings(locations, ["market.seed=8"]).config_hash != first.config_hash


def test_every_key_says_when_it_applies() -> None:
    policies = key_policies(Settings)
    assert len(policies) > 50
    assert policies["risk.max_order_notional"].limit is not None
    assert policies["market.seed"].applies is Applies.RESTART
