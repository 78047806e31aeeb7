"""The screen: one timer that shows the newest snapshot, keys that become commands."""

import asyncio
import signal
import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

from rich.segment import Segments
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType, Keymap
from textual.containers import Vertical
from textual.screen import Screen

from adan_core.domain.commands import (
    FLATTEN_WORD,
    REARM_WORD,
    Command,
    CommandKind,
    CommandResult,
)
from adan_core.domain.state import KillKind, KillPhase
from adan_core.domain.time import Clock
from adan_core.runtime.client import ScreenSettings, ScreenTheme
from adan_tui import training_keys
from adan_tui.actions import ACTIONS, allowed_keymap, bindings
from adan_tui.bars import Footer, Header, Tabs
from adan_tui.dialog import Palette
from adan_tui.drawn import Drawn
from adan_tui.inks import FIRST, inks
from adan_tui.layout import LEFT, RIGHT, TABS, make_pane
from adan_tui.messages import Answered, NotOpened, Opened, Updated
from adan_tui.modals import Help, Parting, TypedWord
from adan_tui.opening import Opening
from adan_tui.pane import Pane
from adan_tui.panes.alerts import ranked
from adan_tui.panes.kill import ELSEWHERE
from adan_tui.sending import send
from adan_tui.text import clean
from adan_tui.view import AT_START, View, renewed, training_runs
from adan_tui.wardrobe import Wardrobe

_KILLS = {CommandKind.HALT: KillKind.HALT, CommandKind.FLATTEN: KillKind.FLATTEN}
_REMOTE_HERTZ = 2.0


class AdanApp(App[None], inherit_bindings=False):
    """The operator's screen over one core.

    It owns no figure: a timer takes the client's newest snapshot, and panes draw what changed.
    Commands leave from threads of their own; their answers come back as messages.
    """

    TITLE = "ADAN"
    CSS_PATH = "screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]

    def __init__(
        self,
        opening: Opening,
        clock: Clock,
        *,
        theme_name: str | None = None,
        attached: bool = False,
        remote: bool = False,
    ) -> None:
        super().__init__()
        # Below 100 columns or 32 rows panes share tabs.
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]
        self._opening = opening
        self._clock = clock
        self._chosen_theme = theme_name
        self._attached = attached
        self._remote = remote
        self._wardrobe = Wardrobe(self.register_theme)
        self._waiting: list[Command] = []
        self._tab = 0
        self._zoomed: Pane | None = None
        self._view = View(clock.now(), AT_START)
        self._header = Header(id="header")
        self._tabs = Tabs(tuple(name for name, _ in TABS), id="tabs")
        self._footer = Footer(id="footer")
        self._panes = {name: make_pane(name) for name in (*LEFT, *RIGHT)}
        self._columns = (Vertical(id="left"), Vertical(id="right"))
        self.register_theme(FIRST)
        self.theme = FIRST.name

    # --- its life -----------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay out the header, the tabs, both columns of panes and the footer."""
        yield self._header
        yield self._tabs
        with Vertical(id="body"):
            for column, names in zip(self._columns, (LEFT, RIGHT), strict=True):
                with column:
                    yield from (self._panes[name] for name in names)
        yield self._footer

    def on_mount(self) -> None:
        """Ink the widgets, then start the core once the first frame is out."""
        self.theme_changed_signal.subscribe(self, lambda _theme: self._ink())
        self._ink()
        self.action_tab(0)
        self._timer = self.set_interval(1.0 / self._hertz(), self._tick)
        if threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._tick()
        self._opening.begin(
            lambda session: self.post_message(Opened(session)),
            lambda trouble: self.post_message(NotOpened(trouble)),
        )

    def on_opened(self, message: Opened) -> None:
        """Take the session on: its settings, its themes, and the commands that waited for it."""
        session = message.session
        session.subscribe(lambda update: self.post_message(Updated(update)))
        self._take_on(session.screen, session.themes)
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            send(session.client, command, self._answered)
        self._tick()

    def on_not_opened(self, message: NotOpened) -> None:
        """Say on every pane why there is no core, and that no waiting command was taken."""
        self._view = replace(self._view, trouble=message.trouble, requested=None)
        if self._waiting:
            self._waiting.clear()
            self._view = replace(
                self._view, notice=f"NOT TAKEN, there is no core here: {ELSEWHERE}"
            )
        self._tick()

    def on_updated(self, message: Updated) -> None:
        """Follow a reload; where it was bad, say why the last good one stays."""
        self._take_on(message.update.screen, message.update.themes)
        if message.update.error:
            self._tell(message.update.error, "warning", "The last good ones stay")
        self._tick()

    def _fatal_error(self) -> None:
        # Textual's own prints local variables, which may hold secrets.
        from rich.traceback import Traceback  # 30 ms that only a crash needs

        shown = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(shown, self.console.options)))
        self._close_messages_no_wait()

    # --- what it shows ------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """What the screen shows now."""
        return self._view

    def _hertz(self) -> float:
        wanted = max(self._view.settings.refresh_hertz, 0.2)
        return min(wanted, _REMOTE_HERTZ) if self._remote else wanted

    def _tick(self) -> None:
        """Take the newest snapshot and let the visible panes draw what changed."""
        if not self.screen_stack:  # closing: one last tick may come after the screen has gone
            return
        session = self._opening.session
        client = None if session is None else session.client
        self._view = renewed(self._view, self._clock.now(), client)
        with self.batch_update():
            self._header.show(self._view)
            for pane in self._visible():
                pane.show(self._view)

    def _visible(self) -> Iterable[Pane]:
        main = self.screen_stack[0]
        if self._zoomed is not None:
            return [self._zoomed]
        if main.has_class("-narrow") or main.has_class("-short"):
            return [self._panes[name] for name in TABS[self._tab][1]]
        return self._panes.values()

    def _drawn(self) -> tuple[Drawn, ...]:
        return (self._header, self._tabs, self._footer, *self._panes.values())

    def _ink(self) -> None:
        styles = inks(self.current_theme)
        for widget in self._drawn():
            widget.use(styles)

    def _take_on(self, settings: ScreenSettings, themes: tuple[ScreenTheme, ...]) -> None:
        if settings.theme != self._view.settings.theme and self._view.settings is not AT_START:
            self._chosen_theme = None  # the file was changed after the key was pressed
        self._view = replace(self._view, settings=settings)
        self._timer.stop()
        self._timer = self.set_interval(1.0 / self._hertz(), self._tick)
        for problem in self._wardrobe.fill(themes):
            self._tell(problem, "warning", "The last good theme stays")
        self._wear(self._chosen_theme or settings.theme)

    def _wear(self, wanted: str) -> None:
        name, problem = self._wardrobe.find(wanted, self.theme)
        if problem:
            self._tell(problem, "warning")
        if name != self.theme:
            self.theme = name
            return
        self.refresh_css(animate=False)
        self._ink()

    def _tell(
        self,
        message: str,
        severity: Literal["information", "warning", "error"] = "information",
        title: str = "",
    ) -> None:
        self.notify(clean(message, 400), title=title, severity=severity, markup=False)

    # --- commands -----------------------------------------------------------------------------

    def _send(self, command: Command) -> None:
        """Send a command, or keep it until the session is open."""
        kill = _KILLS.get(command.kind)
        if self._view.trouble is not None:
            self._tell(f"There is no core here to {command.kind.value}; {ELSEWHERE}", "error")
            return
        if kill is not None:
            self._view = replace(
                self._view, requested=kill, requested_at=self._clock.now(), notice=""
            )
        session = self._opening.session
        if session is None:
            self._waiting.append(command)
        else:
            send(session.client, command, self._answered)
        self._tick()

    def _answered(self, command: Command, result: CommandResult) -> None:
        self.post_message(Answered(command, result))

    def on_answered(self, message: Answered) -> None:
        """Say what the core answered; a kill it did not take stays on the banner."""
        name, result = message.command.kind.value, message.result
        if message.command.kind in _KILLS and not result.accepted:
            notice = f"{name.upper()} NOT TAKEN: {result.message}. {ELSEWHERE}"
            self._view = replace(self._view, requested=None, requested_at=None, notice=notice)
        severity: Literal["information", "error"] = "information" if result.accepted else "error"
        verdict = "taken" if result.accepted else "refused"
        self._tell(result.message or verdict, severity, f"{name}: {verdict}")
        self._tick()

    def action_halt(self) -> None:
        """Stop: latch, cancel entry orders, leave protective stops. No question."""
        self._send(Command(CommandKind.HALT, reason="the operator pressed the kill key"))

    def action_flatten(self) -> None:
        """Ask for the word, then close everything."""
        told = "HALT, cancel every order of ours and close every position at the market."
        self.push_screen(
            TypedWord("FLATTEN: close everything", told, FLATTEN_WORD),
            partial(self._worded, CommandKind.FLATTEN),
        )

    def action_rearm(self) -> None:
        """Ask for the word, then let the engine trade again."""
        snapshot = self._view.snapshot
        if snapshot is not None and snapshot.kill.phase is KillPhase.ARMED:
            self._tell("No kill is in force: there is nothing to re-arm.")
            return
        told = "The latch is lifted and the engine may place orders again."
        self.push_screen(
            TypedWord("Re-arm after a kill", told, REARM_WORD),
            partial(self._worded, CommandKind.REARM),
        )

    def _worded(self, kind: CommandKind, word: str | None) -> None:
        if word is not None:
            self._send(Command(kind, reason="the operator typed the word", word=word))

    def action_start_training(self) -> None:
        """Ask what to train, then start it, or queue it behind the one at work."""
        training_keys.start(self, self._view, self._send)

    def action_pause_training(self) -> None:
        """Hold the running training, or let a paused one go on."""
        training_keys.pause(self._view, self._send, self._tell)

    def action_cancel_training(self) -> None:
        """Show the trainings that wait, and cancel the one that is named."""
        training_keys.cancel(self, self._view, self._send, self._tell)

    def action_stop_training(self) -> None:
        """Stop the running training with a valid checkpoint."""
        training_keys.stop(self._view, self._send, self._tell)

    def action_acknowledge(self) -> None:
        """Acknowledge the alert that stands at the top."""
        self._acknowledge(1)

    def action_acknowledge_all(self) -> None:
        """Acknowledge every alert."""
        self._acknowledge(None)

    def _acknowledge(self, most: int | None) -> None:
        alerts = self._view.snapshot.alerts if self._view.snapshot is not None else ()
        waiting = [alert for alert in ranked(alerts) if not alert.acknowledged]
        if not waiting:
            self._tell("No alert waits to be acknowledged.")
        for alert in waiting[:most]:
            self._send(Command(CommandKind.ACKNOWLEDGE_ALERT, alert_id=alert.alert_id))

    # --- the screen itself --------------------------------------------------------------------

    def set_keymap(self, keymap: Keymap) -> None:
        """Rebind keys; the kill switch's binding and its keys cannot be taken."""
        super().set_keymap(allowed_keymap(keymap))

    def update_keymap(self, keymap: Keymap) -> None:
        """Rebind further keys; the kill switch's binding and its keys cannot be taken."""
        super().update_keymap(allowed_keymap(keymap))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:  # noqa: ARG002
        """Every action and every theme, for the palette."""
        for action in ACTIONS:
            call = partial(self.call_later, self.run_action, f"app.{action.call}")
            yield SystemCommand(action.title, action.help, call)
        for name in self._wardrobe.names:
            yield SystemCommand(
                f"Theme {name}", "Show the screen in it", partial(self._choose, name)
            )

    def _choose(self, name: str) -> None:
        self._chosen_theme = name
        self._wear(name)

    def action_next_theme(self) -> None:
        """Wear the next theme."""
        self._choose(self._wardrobe.after(self.theme))

    def action_tab(self, index: int) -> None:
        """Show a tab; on a wide screen only the focus moves there."""
        self._tab = index
        self._zoom(None)
        self._tabs.choose(index)
        names = TABS[index][1]
        for name, pane in self._panes.items():
            pane.set_class(name in names, "-chosen")
        for column, members in zip(self._columns, (LEFT, RIGHT), strict=True):
            column.set_class(any(name in names for name in members), "-chosen")
        self._panes[names[0]].focus()

    def on_tabs_chosen(self, message: Tabs.Chosen) -> None:
        """Follow a click on a tab."""
        self.action_tab(message.index)

    def action_zoom(self) -> None:
        """Fill the screen with the pane in focus, or put it back."""
        if self._zoomed is not None:
            self._zoom(None)
        elif isinstance(self.focused, Pane):
            self._zoom(self.focused)

    def _zoom(self, pane: Pane | None) -> None:
        self._zoomed = pane
        self.screen_stack[0].set_class(pane is not None, "-zoomed")
        for other in self._panes.values():
            other.set_class(other is pane, "-zoom")
        for column in self._columns:
            column.set_class(pane in column.children, "-zoom")
        self.call_after_refresh(self._tick)

    def action_toggle_utc(self) -> None:
        """Show times in UTC, or in local time."""
        settings = self._view.settings
        self._view = replace(self._view, settings=replace(settings, utc=not settings.utc))
        self._tick()

    def action_command_palette(self) -> None:
        """Show every action by name."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_help(self) -> None:
        """Teach the keys."""
        self.push_screen(Help())

    def action_leave(self) -> None:
        """Leave; a training that would stop is asked about first."""
        if self._attached or not training_runs(self._view):
            self.exit()
            return
        self.push_screen(Parting(), lambda leave: self.exit() if leave else None)
