"""The one registry of actions: keys, words and help, for bindings, palette, footer and help."""

from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Action:
    """Something the operator can do from anywhere on the main screen.

    ``call`` is the Textual action, ``footer`` the short word at the bottom of the screen (empty:
    not shown there); a ``priority`` action works whatever has the focus.
    """

    id: str
    keys: str
    call: str
    title: str
    help: str
    footer: str = ""
    priority: bool = False


HALT = Action(
    "kill.halt",
    "f12,ctrl+t",
    "halt",
    "HALT: the kill switch",
    "At once, without a question: latch on disk, cancel entry orders, leave protective stops",
    "HALT",
    priority=True,
)

ACTIONS = (
    HALT,
    Action(
        "kill.flatten",
        "f9",
        "flatten",
        "FLATTEN: close everything",
        "HALT, cancel every order and close every position; asks for a typed word",
        "flatten",
    ),
    Action(
        "kill.rearm",
        "f8",
        "rearm",
        "Re-arm after a kill",
        "Let the engine trade again after a HALT or FLATTEN; asks for a typed word",
        "re-arm",
    ),
    Action(
        "training.start",
        "f5",
        "start_training",
        "Start a training",
        "Train a new model beside the trading, at once or behind the one at work; asks for what",
        "train",
    ),
    Action(
        "training.stop",
        "f6",
        "stop_training",
        "Stop the training",
        "Save a valid checkpoint and stop the running training",
        "stop",
    ),
    Action(
        "training.pause",
        "f7",
        "pause_training",
        "Pause the training, or let it go on",
        "Save a checkpoint and hold the training between two steps; again: let it go on",
    ),
    Action(
        "training.cancel",
        "f4",
        "cancel_training",
        "Cancel a training that waits",
        "Show the trainings that wait for their turn and cancel one by its number",
    ),
    Action(
        "alerts.acknowledge",
        "a",
        "acknowledge",
        "Acknowledge an alert",
        "Acknowledge the alert at the top of the alerts",
    ),
    Action(
        "alerts.acknowledge_all",
        "A",
        "acknowledge_all",
        "Acknowledge all alerts",
        "Acknowledge every alert that is shown",
    ),
    Action(
        "screen.zoom",
        "z,enter",
        "zoom",
        "Zoom the pane",
        "Fill the screen with the pane in focus, or put it back",
    ),
    Action(
        "screen.times",
        "u",
        "toggle_utc",
        "UTC or local times",
        "Show times in UTC or in the machine's own zone",
    ),
    *(
        Action(
            f"screen.tab{number}",
            str(number),
            f"tab({number - 1})",
            f"Go to {name}",
            f"Show {name}: on a wide screen, put the focus there",
        )
        for number, name in enumerate(("Trade", "Market", "Orders", "Alerts", "System"), start=1)
    ),
    Action(
        "screen.help",
        "f1,question_mark",
        "help",
        "Help",
        "Show every key and what it does",
        "help",
    ),
    Action(
        "screen.quit",
        "f10,ctrl+q",
        "leave",
        "Quit",
        "Leave; asks first if a training runs",
        "quit",
    ),
    Action(
        "screen.theme",
        "f3",
        "next_theme",
        "Next theme",
        "Show the screen in the next theme",
        "theme",
    ),
)

PROTECTED_IDS = frozenset({HALT.id})
PROTECTED_KEYS = frozenset(HALT.keys.split(","))


def bindings() -> list[Binding]:
    """Return the bindings of every action."""
    return [
        Binding(
            action.keys,
            action.call,
            action.title,
            show=bool(action.footer),
            priority=action.priority,
            tooltip=action.help,
            id=action.id,
        )
        for action in ACTIONS
    ]


def allowed_keymap(keymap: Mapping[str, str]) -> dict[str, str]:
    """Return ``keymap`` without what would move the kill switch or take one of its keys."""
    return {
        binding: keys
        for binding, keys in keymap.items()
        if binding not in PROTECTED_IDS
        and PROTECTED_KEYS.isdisjoint(key.strip().lower() for key in keys.split(","))
    }


def key_name(key: str) -> str:
    """Return a key as it is written on a keyboard."""
    names = {"question_mark": "?", "enter": "Enter"}
    if key in names:
        return names[key]
    if key.startswith("ctrl+"):
        return f"Ctrl+{key[5:].upper()}"
    return key.upper() if key.startswith("f") and key[1:].isdigit() else key
