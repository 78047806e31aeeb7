"""The command line of the screen, the terminals it refuses, themes, and the opening of a session."""

import gc
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest
from textual.theme import Theme

from adan_core.domain.errors import ConfigurationError, NotRunning
from adan_core.domain.themes import THEME_ROLES
from adan_core.runtime.client import Session
from adan_tui import main as command
from adan_tui import terminal
from adan_tui.inks import inks, textual_theme
from adan_tui.lines import Ink
from adan_tui.opening import Opening
from adan_tui.terminal import LOST_EXIT_CODE, TerminalWatch, refusal, remote
from adan_tui.view import Trouble
from adan_tui.wardrobe import Wardrobe
from tests.fake_core import DARK, LIGHT, FakeClient, FakeSession, FakeTheme, live_snapshot


def left(words: Sequence[str]) -> int | str | None:
    with pytest.raises(SystemExit) as leaving:
        command.main(words)
    return leaving.value.code


def test_help_shows_an_example_and_the_kill_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert left(["--help"]) == 0
    told = capsys.readouterr().out
    assert "adan-tui --attach" in told
    assert "F12 or Ctrl+T is the kill switch" in told


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from adan_tui.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'textual', 'rich', 'torch', 'numba', 'numpy', 'pydantic', 'asyncio'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_screens_modules_bring_no_learner_and_no_exchange() -> None:
    script = (
        "import sys\n"
        "import adan_tui.app, adan_tui.opening, adan_tui.terminal\n"
        "heavy = {'torch', 'stable_baselines3', 'ccxt', 'numba', 'polars', 'pydantic', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_projects_own(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    command.main(["--version"])
    assert capsys.readouterr().out == f"adan {version('adan')}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "market.seed"], "KEY=VALUE"),
        (["--mode", "replay"], "--dataset"),
        (["--dataset", "BTC-USDT-1h"], "--mode replay"),
        (["--attach", "--set", "market.seed=3"], "--attach"),
        (["--attach", "--mode", "replay", "--dataset", "x"], "--attach"),
        (["--mode", "live"], "invalid choice"),
    ],
)
def test_words_that_do_not_fit_are_refused_with_what_to_write(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(words) == 2
    assert said in capsys.readouterr().err


def test_without_a_terminal_it_points_to_the_other_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adan_tui.main"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "adan-core" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "is_terminal", "refused"),
    [
        ({"TERM": "xterm-256color"}, True, False),
        ({"TERM": "tmux-256color"}, True, False),
        ({"TERM": "dumb"}, True, True),
        ({"TERM": ""}, True, True),
        ({}, True, True),
        ({"TERM": "xterm"}, False, True),
    ],
)
def test_only_a_terminal_that_can_draw_is_taken(
    environment: dict[str, str], is_terminal: bool, refused: bool
) -> None:
    assert bool(refusal(environment, terminal=is_terminal)) is refused


@pytest.mark.parametrize(("connection", "far"), [("", False), ("10.0.0.2 5 10.0.0.1 22", True)])
def test_over_ssh_it_draws_less(
    connection: str, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEXTUAL_FPS", "TEXTUAL_ANIMATIONS", "SSH_TTY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("SSH_CONNECTION", connection)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    seen: list[bool] = []

    def show(_arguments: object, *, far: bool) -> int:
        seen.append(far)
        return 7

    monkeypatch.setattr(command, "_show", show)
    assert left([]) == 7
    assert seen == [far]
    assert os.environ["TEXTUAL_FPS"] == ("15" if far else "")
    assert os.environ["TEXTUAL_ANIMATIONS"] == ("none" if far else "")


def test_an_ssh_terminal_is_remote_too() -> None:
    assert remote({"SSH_TTY": "/dev/pts/3"})
    assert not remote({})


# --- a lost terminal --------------------------------------------------------------------------


def watched(leave: Callable[[], None], patience: float = 5.0) -> tuple[int, int, list[int]]:
    """Watch the far end of a new terminal; return both ends and the exit codes asked for."""
    ours, theirs = pty.openpty()
    ended: list[int] = []
    done = threading.Event()

    def end(code: int) -> None:
        ended.append(code)
        done.set()

    watch = TerminalWatch(leave, period=0.01, patience=patience, end=end)
    watch.start(theirs)
    try:
        os.close(ours)
        assert done.wait(5)
    finally:
        watch.stop()
        os.close(theirs)
    return ours, theirs, ended


def test_a_lost_terminal_closes_the_core_and_ends_the_process() -> None:
    left_at: list[str] = []
    _, _, ended = watched(lambda: left_at.append("closed"))
    assert left_at == ["closed"]
    assert ended == [LOST_EXIT_CODE]


def test_a_core_that_does_not_close_does_not_keep_the_process_alive() -> None:
    never = threading.Event()

    def hang() -> None:
        never.wait(5)

    _, _, ended = watched(hang, patience=0.05)
    never.set()
    assert ended == [LOST_EXIT_CODE]


def test_a_terminal_that_stays_is_left_alone() -> None:
    ours, theirs = pty.openpty()
    ended: list[int] = []
    watch = TerminalWatch(lambda: None, period=0.001, end=ended.append)
    watch.start(theirs)
    watch.stop()
    os.close(ours)
    os.close(theirs)
    assert ended == []


# --- opening ----------------------------------------------------------------------------------


def opened(open_session: Callable[[], Session]) -> tuple[Opening, list[Session | Trouble]]:
    got: list[Session | Trouble] = []
    arrived = threading.Event()

    def take(what: Session | Trouble) -> None:
        got.append(what)
        arrived.set()

    opening = Opening(open_session)
    opening.begin(take, take)
    assert arrived.wait(5)
    return opening, got


def test_an_opened_session_is_closed_once() -> None:
    session = FakeSession(FakeClient(live_snapshot()))
    opening, got = opened(lambda: session)
    assert got == [session]
    opening.close()
    opening.close()
    assert session.client.closed == 1


def test_an_error_becomes_what_and_what_to_do() -> None:
    def refuse() -> Session:
        raise NotRunning("no core answers", remedy="adan-core run")

    opening, got = opened(refuse)
    assert got == [Trouble("no core answers", "adan-core run")]
    assert opening.exit_code == NotRunning.exit_code
    opening.close()


def test_an_unforeseen_error_is_shown_too() -> None:
    def burst() -> Session:
        raise ZeroDivisionError("oh")

    opening, got = opened(burst)
    assert isinstance(got[0], Trouble)
    assert "ZeroDivisionError: oh" in got[0].found
    assert opening.exit_code == 1
    opening.close()


def test_closing_what_never_began_does_nothing() -> None:
    Opening(lambda: FakeSession(FakeClient(None))).close()


# --- themes -----------------------------------------------------------------------------------


def changed(**colours: str) -> FakeTheme:
    return FakeTheme("mine", dark=True, colours={**DARK.colours, **colours})


@pytest.mark.parametrize("role", THEME_ROLES)
@pytest.mark.parametrize("bad", ["", "no colour", "#12", "[/red]", "rgb(1,2"])
def test_a_colour_that_is_none_is_refused_by_role(role: str, bad: str) -> None:
    with pytest.raises(ConfigurationError, match=f"theme mine: {role}"):
        textual_theme(changed(**{role: bad}))


def test_a_missing_colour_is_named() -> None:
    colours = {role: colour for role, colour in DARK.colours.items() if role != "error"}
    with pytest.raises(ConfigurationError, match="no colour error"):
        textual_theme(FakeTheme("mine", dark=True, colours=colours))


@pytest.mark.parametrize("name", ["", "two words", "[/x]", "1st", "a" * 50, "ä"])
def test_a_name_that_no_style_class_can_bear_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="theme name"):
        textual_theme(FakeTheme(name, dark=True, colours=DARK.colours))


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_every_ink_has_a_style_that_can_be_read(theme: FakeTheme) -> None:
    styles = inks(textual_theme(theme))
    assert set(styles) == set(Ink)
    for style in styles.values():
        assert style.color is not None
        assert style.bgcolor is not None
        assert style.color != style.bgcolor


def test_a_wardrobe_keeps_the_last_good_form_and_goes_round() -> None:
    worn: list[Theme] = []
    wardrobe = Wardrobe(worn.append)
    assert wardrobe.after("first") == "first"
    assert wardrobe.find("x", "first") == ("first", "There is no theme x; there are: none")
    assert wardrobe.fill([DARK, LIGHT]) == []
    spoilt = FakeTheme("fake-dark", dark=True, colours={})
    problems = wardrobe.fill([spoilt, LIGHT, FakeTheme("new", dark=True, colours={})])
    assert len(problems) == 2
    assert wardrobe.names == ("fake-dark", "fake-light")
    assert len(worn) == 3
    assert wardrobe.after("fake-light") == "fake-dark"
    assert wardrobe.find("gone", "elsewhere")[0] == "fake-dark"


def test_the_screen_gets_its_turn_soon_and_full_collections_leave_alone_what_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn, collections = sys.getswitchinterval(), gc.get_threshold()
    opened = FakeSession(FakeClient(live_snapshot()))
    seen: list[tuple[float, int]] = []

    def show(open_session: Callable[[], Session], **_: object) -> int:
        assert open_session() is opened
        seen.append((sys.getswitchinterval(), gc.get_freeze_count()))
        return 0

    monkeypatch.setattr(command, "run_screen", show)
    monkeypatch.setattr("adan_core.runtime.client.open_client", lambda _: opened)
    monkeypatch.setattr("adan_tui.terminal.refusal", lambda *_, **__: "")
    try:
        assert left([]) == 0
        (interval, frozen), longest = seen[0], 0.001
        assert interval <= longest
        assert frozen > 0
        assert gc.get_threshold()[2] > collections[2]
    finally:
        sys.setswitchinterval(turn)
        gc.set_threshold(*collections)
        gc.unfreeze()
