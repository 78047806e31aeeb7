"""A changed settings file is taken on whole or not at all, and never loosens a limit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adan_core.config.locations import locate
from adan_core.config.manager import ConfigManager
from adan_core.config.policy import Applies
from adan_core.config.settings import Settings
from adan_core.domain.errors import InvalidSettings
from adan_core.domain.time import ManualClock

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    path = locate(tmp_path, {}).settings_file
    path.parent.mkdir()

    def put(text: str) -> None:
        path.write_text(text)

    return put


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000)


@pytest.fixture
def manager(tmp_path: Path, clock: ManualClock, write: Write) -> ConfigManager:
    write("{}\n")
    return ConfigManager(locate(tmp_path, {}), ["market.seed=11"], {}, clock)


def test_what_applies_now_is_in_force_at_once(
    manager: ConfigManager, write: Write, clock: ManualClock
) -> None:
    before = manager.loaded
    clock.set(2_000)
    write("screen: {theme: adan-light}\n")
    reload = manager.reload()
    assert reload.applied == ("screen.theme",)
    assert manager.settings.screen.theme == "adan-light"
    assert manager.settings.market.seed == 11
    status = manager.status()
    assert (status.loaded_at, status.error) == (2_000, "")
    assert status.config_hash != before.config_hash
    assert before.settings.screen.theme == "adan-dark"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("screen: {theme: adan-light, them: x}\n", "screen.them"),
        ("screen: {theme: adan-light}\ncosts: {fee_rate: 2.0}\n", "costs.fee_rate"),
        ("screen: [\n", "not valid YAML"),
    ],
)
def test_an_invalid_file_leaves_everything_as_it_was(
    manager: ConfigManager, write: Write, text: str, named: str
) -> None:
    before = manager.loaded
    write(text)
    reload = manager.reload()
    assert named in reload.error
    assert manager.loaded is before
    assert named in manager.status().error
    write("{}\n")
    assert manager.reload().error == ""
    assert manager.status().error == ""


def test_what_needs_a_flat_account_waits_for_one(manager: ConfigManager, write: Write) -> None:
    write("costs: {fee_rate: 0.0005}\nscreen: {time_zone: local}\n")
    reload = manager.reload()
    assert reload.applied == ("screen.time_zone",)
    assert reload.waiting == (("costs.fee_rate", Applies.WHEN_FLAT),)
    assert manager.settings.costs.fee_rate == 0.001
    assert "takes effect when flat: costs.fee_rate" in manager.status().error
    assert manager.account_is_flat().applied == ("costs.fee_rate",)
    assert manager.settings.costs.fee_rate == 0.0005
    assert manager.status().error == ""


def test_what_needs_a_restart_is_only_said(
    manager: ConfigManager, write: Write, tmp_path: Path
) -> None:
    write("account: {starting_capital: 5.0}\n")
    assert manager.reload().waiting == (("account.starting_capital", Applies.RESTART),)
    manager.account_is_flat()
    assert manager.settings.account.starting_capital == 10_000.0
    assert "at a restart: account.starting_capital" in manager.status().error
    fresh = ConfigManager(locate(tmp_path, {}), (), {}, ManualClock())
    assert fresh.settings.account.starting_capital == 5.0


@pytest.mark.parametrize(
    ("loose", "tight", "read"),
    [
        (
            "risk: {max_order_notional: 30000.0}",
            "risk: {max_order_notional: 20000.0}",
            lambda settings: settings.risk.max_order_notional,
        ),
        (
            "risk: {max_orders_per_minute: 31}",
            "risk: {max_orders_per_minute: 29}",
            lambda settings: settings.risk.max_orders_per_minute,
        ),
        (
            "risk: {price_collar: 0.06}",
            "risk: {price_collar: 0.04}",
            lambda settings: settings.risk.price_collar,
        ),
    ],
)
def test_a_limit_is_tightened_at_once_and_never_loosened(
    manager: ConfigManager,
    write: Write,
    loose: str,
    tight: str,
    read: Callable[[Settings], float],
) -> None:
    shipped = read(manager.settings)
    write(f"{loose}\nscreen: {{time_zone: local}}\n")
    reload = manager.reload()
    assert len(reload.refused) == 1
    assert "may not loosen a limit" in reload.message
    assert read(manager.settings) == shipped
    assert manager.settings.screen.time_zone == "local"
    write(f"{tight}\n")
    assert manager.reload().refused == ()
    assert read(manager.settings) < shipped
    write("{}\n")
    assert len(manager.reload().refused) == 1
    assert read(manager.settings) < shipped


def test_a_tier_is_not_loosened_either(manager: ConfigManager, write: Write) -> None:
    row = (
        "{name: only, lower: 15.0, upper: null, total_exposure: 0.75, position_cap: 0.75, "
        "positions: 1, risk_per_trade: 0.04, daily_loss: 0.05, max_drawdown: 0.15}"
    )
    write(f"risk: {{tiers: [{row}]}}\n")
    before = manager.settings.risk.tiers
    refused = manager.reload().refused
    assert any("position_cap at capital 1000" in reason for reason in refused)
    assert manager.settings.risk.tiers == before


def test_a_mixture_that_contradicts_itself_is_not_taken_on(
    tmp_path: Path, write: Write, clock: ManualClock
) -> None:
    row = (
        "{{name: only, lower: 15.0, upper: null, total_exposure: 0.1, position_cap: 0.1, "
        "positions: 1, risk_per_trade: {risk}, daily_loss: 0.05, max_drawdown: 0.1}}"
    )
    write(f"risk: {{tiers: [{row.format(risk=0.0053)}]}}\n")
    manager = ConfigManager(locate(tmp_path, {}), (), {}, clock)
    before = manager.loaded
    # The tighter risk fits the cheaper costs, which must wait for a flat account.
    write(
        f"risk: {{tiers: [{row.format(risk=0.005)}]}}\n"
        "costs: {fee_rate: 0.0, slippage_rate: 0.0}\n"
    )
    reload = manager.reload()
    assert reload.applied == ()
    assert "contradicts itself" in reload.error
    assert manager.loaded is before
    assert set(manager.account_is_flat().applied) == {
        "risk.tiers",
        "costs.fee_rate",
        "costs.slippage_rate",
    }


def test_only_the_sections_that_changed_are_told(manager: ConfigManager, write: Write) -> None:
    told: list[tuple[str, Settings]] = []
    manager.subscribe(["screen"], lambda settings: told.append(("screen", settings)))
    manager.subscribe(["risk", "costs"], lambda settings: told.append(("risk", settings)))
    write("screen: {theme: adan-light}\n")
    manager.reload()
    manager.reload()
    assert told == [("screen", manager.settings)]
    write("screen: {theme: adan-light}\nrisk: {take_profit: 0.2}\n")
    manager.reload()
    assert [name for name, _ in told] == ["screen", "risk"]
    with pytest.raises(ValueError, match="scren"):
        manager.subscribe(["scren"], lambda _: None)


def test_without_a_last_good_a_bad_file_stops_the_start(tmp_path: Path, write: Write) -> None:
    write("screen: {theme: 3}\n")
    with pytest.raises(InvalidSettings, match=r"screen\.theme"):
        ConfigManager(locate(tmp_path, {}), (), {}, ManualClock())
