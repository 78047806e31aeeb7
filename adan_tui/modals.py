"""The screens that lie over the panes: typed words, the training form, help, the parting question."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from adan_core.domain.training import TrainingRequest
from adan_core.runtime.client import ScreenSettings
from adan_tui.actions import ACTIONS, key_name
from adan_tui.dialog import Dialog
from adan_tui.text import clean, wrap

_CANCEL = Binding("escape", "dismiss", "Cancel", id="modal.cancel", tooltip="Close, change nothing")


class TypedWord(Dialog[str | None]):
    """Asks for one typed word and gives it back; nothing else closes it but Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [_CANCEL]

    def __init__(self, title: str, explanation: str, word: str) -> None:
        super().__init__()
        self._title = title
        self._explanation = explanation
        self._word = word

    def compose(self) -> ComposeResult:
        """Lay out the question and the field."""
        with Vertical(classes="dialog"):
            yield Static(self._title, classes="dialog-title", markup=False)
            yield Static(self._explanation, markup=False)
            yield Input(placeholder=f"type {self._word} and press Enter", id="word")
            yield Static("Esc closes this and changes nothing.", id="said", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the word back if it is the right one."""
        event.stop()
        if event.value.strip() == self._word:
            self.dismiss(self._word)
            return
        typed = clean(event.value, 20) or "nothing"
        said = self.query_one("#said", Static)
        said.add_class("wrong")
        said.update(Content(f"You typed {typed}, not {self._word}: nothing was done. Esc closes."))
        event.input.clear()


_FIELDS = (
    ("steps", "steps"),
    ("seed", "seed"),
    ("timeout", "time limit in seconds (empty: none)"),
    ("dataset", "data set (empty: the simulated market)"),
    ("profile", "profile{} (empty: none)"),
)


def training_request(
    steps: str, seed: str, timeout: str, dataset: str, profile: str, *, profiles: tuple[str, ...]
) -> TrainingRequest:
    """Return the request written in the form; ValueError says which field is wrong and why.

    ``profile`` may be empty or one of ``profiles``.
    """

    def whole(name: str, text: str, least: int) -> int:
        plain = text.replace(",", "").replace("_", "").strip()
        if not plain.isdecimal() or int(plain) < least:
            raise ValueError(f"{name} must be a whole number of at least {least}")
        return int(plain)

    limit: float | None = None
    if timeout.strip():
        limit = float(whole("the time limit", timeout, 1))
    member = profile.strip().lower()
    if member and member not in profiles:
        raise ValueError(f"there is no profile {clean(member, 12)}")
    return TrainingRequest(
        dataset=dataset.strip() or None,
        steps=whole("steps", steps, 1),
        seed=whole("seed", seed, 0),
        timeout=limit,
        profile=member,
    )


class TrainingForm(Dialog[TrainingRequest | None]):
    """Asks what to train on and for how long; filled in with the settings' own values."""

    BINDINGS: ClassVar[list[BindingType]] = [_CANCEL]

    def __init__(self, settings: ScreenSettings, *, queued: bool = False) -> None:
        super().__init__()
        self._queued = queued
        self._profiles = settings.training_profiles
        limit = settings.training_timeout
        self._values = {
            "steps": str(settings.training_steps),
            "seed": str(settings.training_seed),
            "timeout": "" if limit is None else f"{limit:.0f}",
            "dataset": "",
            "profile": "",
        }

    def compose(self) -> ComposeResult:
        """Lay out one labelled field per figure."""
        with Vertical(classes="dialog"):
            title = (
                "Queue a training behind the one at work" if self._queued else "Start a training"
            )
            yield Static(title, classes="dialog-title", markup=False)
            for name, label in _FIELDS:
                known = f": {', '.join(self._profiles)}" if name == "profile" else ""
                yield Static(label.format(known), classes="label", markup=False)
                yield Input(self._values[name], id=name, compact=True)
            does = "queues" if self._queued else "starts"
            yield Static(f"Enter {does} it, Tab goes on, Esc closes.", id="said", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the request back if every field is right, else say which is not."""
        event.stop()
        written = [self.query_one(f"#{name}", Input).value for name, _ in _FIELDS]
        try:
            request = training_request(*written, profiles=self._profiles)
        except ValueError as error:
            said = self.query_one("#said", Static)
            said.add_class("wrong")
            said.update(Content(f"{clean(str(error))}: nothing was started."))
            return
        self.dismiss(request)


class Parting(Dialog[bool]):
    """Asks whether to leave although a training runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Leave", id="parting.yes", tooltip="Save a checkpoint, leave"),
        Binding("n,escape", "answer(False)", "Stay", id="parting.no", tooltip="Go on as before"),
    ]

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(classes="dialog"):
            yield Static("A training is running", classes="dialog-title", markup=False)
            yield Static(
                "Leaving saves a valid checkpoint; it goes on at the next start. y leaves, n stays.",
                markup=False,
            )

    def action_answer(self, leave: bool) -> None:
        """Give the answer back."""
        self.dismiss(leave)


class Help(Dialog[None]):
    """Teaches every key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,question_mark,q", "dismiss", "Close", id="help.close", tooltip="Close")
    ]

    def compose(self) -> ComposeResult:
        """Lay out one line per action, then how panes are read."""
        with VerticalScroll(classes="dialog", id="help"):
            yield Static("Keys", classes="dialog-title", markup=False)
            yield Static(self._told(), id="keys", markup=False)

    def on_mount(self, event: events.Mount) -> None:  # noqa: ARG002
        """Let the arrow keys scroll at once."""
        self._laid = self.app.size.width
        self.query_one("#help").focus()

    def on_resize(self, event: events.Resize) -> None:
        """Break the lines anew for another width."""
        if event.size.width != self._laid:
            self._laid = event.size.width
            self.query_one("#keys", Static).update(self._told())

    def _told(self) -> Content:
        return help_text(min(96, self.app.size.width - 4) - 9)


def help_text(width: int) -> Content:
    """Return the help in ``width`` cells: every action's keys and what it does, then the moves."""
    rows = [
        (" or ".join(key_name(key) for key in action.keys.split(",")), action.help)
        for action in ACTIONS
    ]
    rows += [
        ("Tab, Shift+Tab", "Go to the next or the previous pane"),
        ("arrows, PgUp, PgDn", "Scroll the pane in focus"),
        ("Ctrl+P", "Open the palette: every action by name"),
        ("Esc", "Close what lies over the panes"),
    ]
    column = max(len(keys) for keys, _ in rows) + 2
    lines: list[Content] = []
    for keys, told in rows:
        for index, part in enumerate(wrap(told, max(width - column, 20))):
            head = keys if index == 0 else ""
            lines.append(Content.assemble((f"{head:<{column}}", "bold"), part))
    return Content("\n").join(lines)
