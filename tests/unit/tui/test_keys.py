"""Every key does what the help says, and nothing keeps the kill switch from its work."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from textual.binding import Binding
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from adan_core.domain.commands import Command, CommandKind, CommandResult
from adan_core.domain.errors import AlreadyRunning, NotRunning
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import KillKind
from adan_core.domain.time import ManualClock
from adan_core.domain.training import TrainingRequest, TrainingState
from adan_core.runtime.client import ScreenUpdate, Session
from adan_tui.actions import ACTIONS
from adan_tui.app import AdanApp
from adan_tui.modals import Help, Parting, TrainingForm, TypedWord, training_request
from adan_tui.opening import Opening
from adan_tui.queue_modal import CancelTraining
from tests.fake_core import (
    DARK,
    LIGHT,
    NOW,
    SCREEN,
    FakeClient,
    FakeSession,
    FakeTheme,
    halted_snapshot,
    live_snapshot,
    progress,
    waiting_trainings,
)

Steps = Callable[["Driver"], Awaitable[None]]


class Driver:
    """The screen over a fake core, with the waits that tests need."""

    def __init__(self, app: AdanApp, pilot: Pilot[None], session: FakeSession) -> None:
        self.app = app
        self.pilot = pilot
        self.session = session
        self.client = session.client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the screen work until ``condition`` holds; fail if it never does."""
        end = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            await self.tick()
            await asyncio.sleep(0.005)  # threads answer in their own time

    async def tick(self, times: int = 1) -> None:
        """Let the screen's timer fire now, and what it caused be drawn."""
        for _ in range(times):
            self.app._tick()
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def sent(self, number: int = 1) -> list[Command]:
        await self.until(lambda: len(self.client.sent) >= number)
        return self.client.sent

    def said(self) -> str:
        """The notifications so far."""
        return "\n".join(f"{note.title} {note.message}" for note in self.app._notifications)

    @property
    def header(self) -> str:
        return self.app._header.text


def drive(
    steps: Steps,
    picture: CoreSnapshot | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    attached: bool = False,
    open_session: Callable[[], Session] | None = None,
    error: Exception | None = None,
) -> AdanApp:
    """Run ``steps`` against the screen and return the app afterwards."""
    shown = replace(live_snapshot(), training=None) if picture is None else picture
    session = FakeSession(FakeClient(shown, error=error))
    opening = Opening(open_session or (lambda: session))
    app = AdanApp(opening, ManualClock(NOW), attached=attached)
    app.animation_level = "none"

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, pilot, session)
            if open_session is None:
                await driver.until(lambda: app.theme == "fake-dark")
            await steps(driver)

    asyncio.run(run())
    opening.close()
    return app


def kinds(commands: list[Command]) -> list[CommandKind]:
    return [command.kind for command in commands]


# --- the kill switch --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["f12", "ctrl+t"])
def test_the_kill_key_halts_at_once_and_says_so(key: str) -> None:
    async def steps(driver: Driver) -> None:
        await driver.press(key)
        assert driver.app.view.requested is KillKind.HALT
        assert "HALT REQUESTED" in driver.header
        assert len(driver.app.screen_stack) == 1  # no dialog
        assert kinds(await driver.sent()) == [CommandKind.HALT]

    drive(steps)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["f12", "ctrl+t"])
@pytest.mark.parametrize("over", ["f9", "f5", "f1", "ctrl+p"])
def test_the_kill_key_works_over_every_modal_and_with_an_input_in_focus(
    key: str, over: str
) -> None:
    async def steps(driver: Driver) -> None:
        await driver.press(over)
        await driver.until(lambda: len(driver.app.screen_stack) == 2)
        if over == "ctrl+p":
            assert isinstance(driver.app.screen, CommandPalette)
        if over != "f1":
            await driver.until(lambda: isinstance(driver.app.focused, Input))
        await driver.press(key)
        assert kinds(await driver.sent()) == [CommandKind.HALT]
        assert "HALT REQUESTED" in driver.header

    drive(steps)


@pytest.mark.slow
def test_the_kill_key_works_over_the_parting_question() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f10")
        await driver.until(lambda: isinstance(driver.app.screen, Parting))
        await driver.press("f12")
        assert kinds(await driver.sent()) == [CommandKind.HALT]

    drive(steps, live_snapshot())


@pytest.mark.slow
@pytest.mark.parametrize(
    "keymap",
    [
        {"kill.halt": "f4"},
        {"kill.halt": ""},
        {"screen.help": "f12"},
        {"screen.help": "f2, ctrl+t"},
        {"screen.quit": "F12"},
        {"kill.halt": "f4", "screen.quit": "f12", "training.start": "ctrl+t"},
    ],
)
def test_no_keymap_takes_the_kill_switch_or_its_keys(keymap: dict[str, str]) -> None:
    async def steps(driver: Driver) -> None:
        number = 0
        for change in (driver.app.set_keymap, driver.app.update_keymap):
            change(keymap)
            for key in ("f12", "ctrl+t"):
                number += 1
                await driver.press(key)
                assert kinds(await driver.sent(number)) == [CommandKind.HALT] * number
                assert driver.app.is_running

    drive(steps)


@pytest.mark.slow
def test_a_keymap_may_move_other_keys() -> None:
    async def steps(driver: Driver) -> None:
        driver.app.set_keymap({"screen.help": "f2"})
        await driver.press("f2")
        await driver.until(lambda: isinstance(driver.app.screen, Help))

    drive(steps)


@pytest.mark.slow
def test_the_request_gives_way_to_what_the_core_shows() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f12")
        driver.client.picture = halted_snapshot()
        await driver.until(lambda: "HALT CONFIRMED in 84 ms" in driver.header)
        assert driver.app.view.requested is None

    drive(steps)


@pytest.mark.slow
def test_a_flatten_is_not_taken_for_done_while_only_a_halt_is() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f9", *"FLATTEN", "enter")
        await driver.until(lambda: "FLATTEN REQUESTED" in driver.header)
        halted = halted_snapshot()
        driver.client.picture = replace(halted, sequence=halted.sequence + 1)
        await driver.tick(3)
        assert "FLATTEN REQUESTED" in driver.header
        flattened = replace(halted.kill, kind=KillKind.FLATTEN, positions_left=0)
        driver.client.picture = replace(halted, kill=flattened)
        await driver.until(lambda: "FLATTEN CONFIRMED" in driver.header)

    drive(steps, halted_snapshot())


@pytest.mark.slow
def test_a_kill_the_core_did_not_take_stays_on_the_banner_with_another_way() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f12")
        await driver.until(lambda: "HALT NOT TAKEN" in driver.header)
        assert "adan-core halt" in driver.header
        assert driver.app.view.requested is None

    drive(steps, error=NotRunning("no core answers"), size=(120, 40))


@pytest.mark.slow
def test_a_crash_while_sending_is_shown_as_a_kill_not_taken() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f12")
        await driver.until(lambda: "RuntimeError: pipe burst" in driver.header)

    drive(steps, error=RuntimeError("pipe burst"), size=(120, 40))


@pytest.mark.slow
def test_a_kill_pressed_before_the_core_is_open_is_sent_when_it_is() -> None:
    gate = threading.Event()
    session = FakeSession(FakeClient(live_snapshot()))

    def slow() -> Session:
        assert gate.wait(10)
        return session

    async def steps(driver: Driver) -> None:
        await driver.press("f12")
        assert "STARTING" in driver.header
        assert "HALT REQUESTED" in driver.header
        assert session.client.sent == []
        gate.set()
        await driver.until(lambda: bool(session.client.sent))
        assert kinds(session.client.sent) == [CommandKind.HALT]

    drive(steps, open_session=slow)


@pytest.mark.slow
def test_without_a_core_the_screen_says_where_to_halt_and_ends_with_the_errors_code() -> None:
    def refuse() -> Session:
        raise AlreadyRunning("Another core owns this home", remedy="stop it")

    async def steps(driver: Driver) -> None:
        await driver.until(lambda: driver.app.view.trouble is not None)
        assert "Another core owns this home" in driver.header
        assert "adan-tui --attach" in driver.header
        await driver.press("f12")
        await driver.until(lambda: "adan-core halt" in driver.said())

    app = drive(steps, open_session=refuse, size=(120, 40))
    assert app._opening.exit_code == AlreadyRunning.exit_code


# --- typed words ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "word", "kind"),
    [("f9", "FLATTEN", CommandKind.FLATTEN), ("f8", "REARM", CommandKind.REARM)],
)
def test_flatten_and_rearm_ask_for_their_word(key: str, word: str, kind: CommandKind) -> None:
    async def steps(driver: Driver) -> None:
        await driver.press(key)
        await driver.until(lambda: isinstance(driver.app.screen, TypedWord))
        await driver.press(*word.lower(), "enter")
        assert isinstance(driver.app.screen, TypedWord)
        assert driver.client.sent == []
        said = str(driver.app.screen.query_one("#said").render())
        assert "nothing was done" in said
        await driver.press(*word, "enter")
        sent = await driver.sent()
        assert (sent[0].kind, sent[0].word) == (kind, word)
        assert len(driver.app.screen_stack) == 1

    drive(steps, halted_snapshot())


@pytest.mark.slow
@pytest.mark.parametrize("key", ["f9", "f8", "f5", "f1"])
def test_escape_closes_a_modal_and_nothing_is_sent(key: str) -> None:
    async def steps(driver: Driver) -> None:
        await driver.press(key)
        await driver.until(lambda: len(driver.app.screen_stack) == 2)
        await driver.press("escape")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert driver.client.sent == []

    drive(steps, replace(halted_snapshot(), training=None))


@pytest.mark.slow
def test_rearm_says_when_there_is_nothing_to_rearm() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f8")
        await driver.until(lambda: "nothing to re-arm" in driver.said())
        assert len(driver.app.screen_stack) == 1

    drive(steps)


@pytest.mark.slow
def test_a_refusal_by_the_core_is_told() -> None:
    async def steps(driver: Driver) -> None:
        driver.client.answer = CommandResult(accepted=False, message="[/x] not yours to arm")
        await driver.press("f8", *"REARM", "enter")
        await driver.until(lambda: "[/x] not yours to arm" in driver.said())
        assert "rearm: refused" in driver.said()

    drive(steps, halted_snapshot())


# --- training ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_starts_with_the_settings_own_values() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f5")
        await driver.until(lambda: isinstance(driver.app.screen, TrainingForm))
        await driver.press("enter")
        sent = await driver.sent()
        assert sent[0].kind is CommandKind.START_TRAINING
        assert sent[0].training == TrainingRequest(None, 200_000, 7, 600.0)

    drive(steps)


@pytest.mark.slow
def test_a_wrong_field_starts_nothing_and_names_it() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f5")
        await driver.until(lambda: isinstance(driver.app.screen, TrainingForm))
        driver.app.screen.query_one("#steps", Input).value = "many"
        await driver.press("enter")
        said = str(driver.app.screen.query_one("#said").render())
        assert "steps must be a whole number" in said
        assert driver.client.sent == []

    drive(steps)


@pytest.mark.slow
def test_the_form_offers_the_profiles_and_a_training_is_asked_for_with_the_one_named() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f5")
        await driver.until(lambda: isinstance(driver.app.screen, TrainingForm))
        form = driver.app.screen
        labels = [str(label.render()) for label in form.query(".label")]
        assert "scalper, intraday, swing, position, all" in labels[-1]
        form.query_one("#profile", Input).value = "hodler"
        await driver.press("enter")
        assert "there is no profile hodler" in str(form.query_one("#said").render())
        assert driver.client.sent == []
        form.query_one("#profile", Input).value = "Swing"
        await driver.press("enter")
        sent = await driver.sent()
        assert sent[0].training == TrainingRequest(None, 200_000, 7, 600.0, profile="swing")

    drive(steps)


@pytest.mark.slow
@pytest.mark.parametrize(
    "written",
    [("0", "1", "", ""), ("10", "-1", "", ""), ("10", "1", "0", ""), ("", "", "", "")],
)
def test_figures_that_make_no_training_are_refused(written: tuple[str, str, str, str]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        training_request(*written, "", profiles=())


@pytest.mark.slow
def test_the_form_takes_grouped_figures_and_a_data_set() -> None:
    assert training_request(
        "1,000_000", "7", " 90 ", " BTC-USDT-1h ", "", profiles=()
    ) == TrainingRequest("BTC-USDT-1h", 1_000_000, 7, 90.0)


@pytest.mark.slow
def test_stop_training_stops_one_and_says_when_there_is_none() -> None:
    async def running(driver: Driver) -> None:
        await driver.press("f6")
        assert kinds(await driver.sent()) == [CommandKind.STOP_TRAINING]

    async def idle(driver: Driver) -> None:
        await driver.press("f6")
        await driver.until(lambda: "No training runs" in driver.said())
        assert driver.client.sent == []

    drive(running, live_snapshot())
    drive(idle)


@pytest.mark.slow
def test_while_one_runs_another_is_queued_with_the_same_form() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f5")
        await driver.until(lambda: isinstance(driver.app.screen, TrainingForm))
        title = str(driver.app.screen.query_one(".dialog-title").render())
        assert "Queue a training" in title
        await driver.press("enter")
        sent = await driver.sent()
        assert sent[0].kind is CommandKind.QUEUE_TRAINING
        assert sent[0].training == TrainingRequest(None, 200_000, 7, 600.0)

    drive(steps, live_snapshot())


@pytest.mark.slow
def test_one_key_pauses_a_training_and_lets_it_go_on() -> None:
    async def running(driver: Driver) -> None:
        await driver.press("f7")
        assert kinds(await driver.sent()) == [CommandKind.PAUSE_TRAINING]

    async def paused(driver: Driver) -> None:
        await driver.press("f7")
        assert kinds(await driver.sent()) == [CommandKind.RESUME_TRAINING]

    async def idle(driver: Driver) -> None:
        await driver.press("f7")
        await driver.until(lambda: "No training runs" in driver.said())

    drive(running, live_snapshot())
    drive(paused, replace(live_snapshot(), training=progress(TrainingState.PAUSED)))
    drive(idle)


@pytest.mark.slow
def test_a_training_that_waits_is_cancelled_by_its_number_and_by_no_other() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f4")
        await driver.until(lambda: isinstance(driver.app.screen, CancelTraining))
        await driver.press("3", "enter")  # the one at work is none that waits
        said = str(driver.app.screen.query_one("#said").render())
        assert "No training 3 waits" in said
        await driver.press("4", "enter")
        sent = await driver.sent()
        assert (sent[0].kind, sent[0].job_id) == (CommandKind.CANCEL_TRAINING, 4)

    async def none(driver: Driver) -> None:
        await driver.press("f4")
        await driver.until(lambda: "No training waits" in driver.said())

    drive(steps, replace(live_snapshot(), training_queue=waiting_trainings()))
    drive(none)


# --- alerts, themes, panes --------------------------------------------------------------------


@pytest.mark.slow
def test_acknowledging_takes_the_top_alert_or_all() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("a")
        assert [command.alert_id for command in await driver.sent()] == [3]
        await driver.press("A")
        assert {command.alert_id for command in (await driver.sent(3))[1:]} == {2, 3}

    drive(steps)


@pytest.mark.slow
def test_with_nothing_to_acknowledge_it_says_so() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("a")
        await driver.until(lambda: "No alert waits" in driver.said())

    drive(steps, replace(live_snapshot(), alerts=()))


@pytest.mark.slow
def test_the_theme_key_goes_round() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f3")
        assert driver.app.theme == "fake-light"
        await driver.press("f3")
        assert driver.app.theme == "fake-dark"

    drive(steps)


@pytest.mark.slow
def test_a_reload_brings_new_colours_and_a_bad_theme_keeps_its_last_good_form() -> None:
    async def steps(driver: Driver) -> None:
        app, callback = driver.app, driver.session.callbacks[0]
        redder = FakeTheme("fake-dark", dark=True, colours={**DARK.colours, "primary": "#ff0000"})
        callback(ScreenUpdate(SCREEN, (redder, LIGHT)))
        await driver.until(lambda: app.current_theme.primary == "#FF0000")
        spoilt = FakeTheme("fake-dark", dark=True, colours={**DARK.colours, "primary": "[/red]"})
        callback(ScreenUpdate(SCREEN, (spoilt, LIGHT), "themes/fake-dark.yaml: line 3"))
        await driver.until(lambda: "primary is '[/red]'" in driver.said())
        assert "themes/fake-dark.yaml: line 3" in driver.said()
        assert app.current_theme.primary == "#FF0000"
        assert app.theme == "fake-dark"

    drive(steps)


@pytest.mark.slow
def test_a_reload_that_names_another_theme_or_pace_is_followed() -> None:
    async def steps(driver: Driver) -> None:
        settings = replace(SCREEN, theme="fake-light", refresh_hertz=10.0, utc=False)
        driver.session.callbacks[0](ScreenUpdate(settings, (DARK, LIGHT)))
        await driver.until(lambda: driver.app.theme == "fake-light")
        assert driver.app._timer._interval == pytest.approx(0.1)
        assert "local" in driver.header

    drive(steps)


@pytest.mark.slow
def test_a_theme_that_is_not_there_is_named_with_those_that_are() -> None:
    async def steps(driver: Driver) -> None:
        settings = replace(SCREEN, theme="nowhere")
        driver.session.callbacks[0](ScreenUpdate(settings, (DARK, LIGHT)))
        await driver.until(lambda: "no theme nowhere" in driver.said())
        assert driver.app.theme == "fake-dark"

    drive(steps)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "panes"), [("2", {"equity", "regime"}), ("5", {"training", "health"})]
)
def test_a_small_screen_shows_one_tab_and_draws_no_other(key: str, panes: set[str]) -> None:
    async def steps(driver: Driver) -> None:
        await driver.press(key)
        await driver.pilot.pause()
        shown = {pane.id for pane in driver.app._panes.values() if pane.region.height}
        assert shown == panes
        hidden = [pane for pane in driver.app._panes.values() if pane.id not in panes]
        before = [pane._picture for pane in hidden]
        snapshot = live_snapshot()
        driver.client.picture = replace(snapshot, log=(), orders=(), alerts=(), decisions=())
        await driver.tick(3)
        assert all(pane._picture is kept for pane, kept in zip(hidden, before, strict=True))

    drive(steps)


@pytest.mark.slow
def test_a_quiet_core_makes_no_pane_draw_again() -> None:
    async def steps(driver: Driver) -> None:
        await driver.until(lambda: "candle 9" in driver.app._panes["log"].text)
        before = {name: pane._picture for name, pane in driver.app._panes.items()}
        driver.client.picture = replace(live_snapshot(), sequence=421, training=None)
        await driver.tick(3)
        for name, pane in driver.app._panes.items():
            assert pane._picture is before[name]

    drive(steps, size=(120, 40))


@pytest.mark.slow
def test_zoom_gives_one_pane_the_room_and_back() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("3", "z")
        await driver.pilot.pause()
        shown = {pane.id for pane in driver.app._panes.values() if pane.region.height}
        assert shown == {"orders"}
        await driver.press("z")
        await driver.pilot.pause()
        shown = {pane.id for pane in driver.app._panes.values() if pane.region.height}
        assert len(shown) == 10

    drive(steps, size=(120, 40))


@pytest.mark.slow
def test_a_pane_scrolls_to_its_end_and_back() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("1", "tab")
        pane = driver.app._panes["decisions"]
        await driver.until(lambda: "▶" in pane.text and "more" in pane.text)
        top = pane.text
        await driver.press("G")
        assert "↓0" in pane.text
        await driver.press("g")
        assert pane.text == top

    drive(steps)


@pytest.mark.slow
def test_times_change_between_utc_and_local() -> None:
    async def steps(driver: Driver) -> None:
        assert "UTC" in driver.header
        await driver.press("u")
        assert "local" in driver.header

    drive(steps)


@pytest.mark.slow
def test_a_lost_core_is_said_and_its_return_is_seen() -> None:
    async def steps(driver: Driver) -> None:
        driver.client.down = "the socket was closed"
        await driver.until(lambda: "NO ANSWER from the core" in driver.header)
        assert "STALE" in driver.app._panes["positions"].text
        driver.client.down = ""
        await driver.until(lambda: "NO ANSWER" not in driver.header)
        await driver.until(lambda: "STALE" not in driver.app._panes["positions"].text)

    drive(steps)


# --- leaving, and the registry ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("key", ["f10", "ctrl+q"])
def test_leaving_closes_the_core_without_a_question(key: str) -> None:
    async def steps(driver: Driver) -> None:
        await driver.press(key)
        await driver.until(lambda: not driver.app.is_running)

    app = drive(steps)
    client = app._opening.session.client if app._opening.session is not None else None
    assert isinstance(client, FakeClient)
    assert client.closed == 1
    assert not app.screen_stack
    app._tick()  # a busy machine's timer may fire after the screen has gone


@pytest.mark.slow
def test_leaving_asks_while_a_training_runs() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f10")
        await driver.until(lambda: isinstance(driver.app.screen, Parting))
        await driver.press("n")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert driver.app.is_running
        await driver.press("f10", "y")
        await driver.until(lambda: not driver.app.is_running)

    drive(steps, live_snapshot())


@pytest.mark.slow
def test_an_attached_screen_leaves_without_a_question_since_the_core_goes_on() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f10")
        await driver.until(lambda: not driver.app.is_running)

    drive(steps, live_snapshot(), attached=True)


@pytest.mark.slow
def test_every_binding_has_an_id_a_description_and_a_tooltip() -> None:
    async def steps(driver: Driver) -> None:
        theirs = {
            "command_palette",
            *(made.action for made in Binding.make_bindings(Screen.BINDINGS)),
        }
        ours = [
            binding
            for node in (driver.app, *driver.app._panes.values())
            for bindings in node._bindings.key_to_bindings.values()
            for binding in bindings
            if binding.action not in theirs
        ]
        for modal in (TypedWord, TrainingForm, CancelTraining, Parting, Help):
            ours += Binding.make_bindings(modal.BINDINGS)
        assert len(ours) > len(ACTIONS)
        for binding in ours:
            assert binding.id
            assert binding.description
            assert binding.tooltip

    drive(steps)


@pytest.mark.slow
def test_every_action_is_in_the_palette_and_every_theme() -> None:
    async def steps(driver: Driver) -> None:
        titles = {command.title for command in driver.app.get_system_commands(driver.app.screen)}
        assert {action.title for action in ACTIONS} <= titles
        assert {"Theme fake-dark", "Theme fake-light"} <= titles

    drive(steps)


@pytest.mark.slow
def test_the_palette_runs_an_action() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("ctrl+p")
        await driver.until(lambda: isinstance(driver.app.focused, Input))
        await driver.press(*"kill switch")
        await driver.until(
            lambda: bool(driver.app.screen.query_one("CommandList").option_count)  # type: ignore[attr-defined]
        )
        await driver.press("enter")
        await driver.pilot.pause()
        if len(driver.app.screen_stack) == 2:
            await driver.press("enter")
        assert kinds(await driver.sent()) == [CommandKind.HALT]

    drive(steps)


@pytest.mark.slow
def test_the_help_teaches_every_key() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("question_mark")
        await driver.until(lambda: isinstance(driver.app.screen, Help))
        text = "\n".join(str(widget.render()) for widget in driver.app.screen.query("Static"))
        for key in ("F12 or Ctrl+T", "F9", "F8", "F5", "F6", "F3", "F1 or ?", "F10 or Ctrl+Q"):
            assert key in text

    drive(steps, size=(120, 40))
