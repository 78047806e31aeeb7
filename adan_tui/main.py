"""The command ``adan-tui``: options, the terminal's fitness, the screen, and a clean end."""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adan_core.runtime.client import Session

_EPILOG = """\
examples:
  adan-tui                            a paper account on a simulated market, nothing else needed
  adan-tui --attach                   watch and control a core that already runs
  adan-tui --mode replay --dataset BTC-USDT-1h
                                      play a stored data set through the agent
  adan-tui --set market.source=exchange --set exchange.name=binance --set 'market.symbols=[BTC/USDT]' \\
           --set account.quote=USDT --model BTC-USDT-5m-s1
                                      a paper account on an exchange's candles as they close

On the screen F1 shows every key; F12 or Ctrl+T is the kill switch.
Without a terminal, use adan-core.
"""

_REMOTE_FRAMES = "15"
# A thread of the core that computes holds the interpreter for as long as this before the screen's
# gets its turn, several times for one key. The usual 5 ms would make a key wait for tens of them.
_TURN_SECONDS = 0.0005
# Full collections look at every object while all threads wait, a tenth of a second each. The objects
# that a start makes stay; what comes later and cannot go by itself is little, and may wait.
_COLLECTIONS = (2_000, 20, 200)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="adan-tui",
        description="ADAN's screen: see the market, the agent and the account, and stop it all.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, metavar="PATH", help="keep every file of ADAN here")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a setting, e.g. market.seed=3; may be repeated",
    )
    parser.add_argument(
        "--attach", action="store_true", help="show a core that already runs instead of an own one"
    )
    parser.add_argument("--theme", metavar="NAME", help="the theme to show the screen in")
    parser.add_argument(
        "--mode", choices=("paper", "replay"), default="paper", help="default: %(default)s"
    )
    parser.add_argument("--dataset", metavar="NAME", help="what to replay; see adan-core data list")
    parser.add_argument("--model", metavar="ID", help="which decides; see adan-core models list")
    parser.add_argument("--version", action="store_true", help="say the version and leave")
    return parser


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    for override in arguments.overrides:
        if "=" not in override:
            parser.error(f"--set {override}: write it as KEY=VALUE, e.g. --set market.seed=3")
    if arguments.mode == "replay" and not arguments.dataset:
        parser.error("--mode replay needs --dataset NAME; adan-core data list shows the names")
    if arguments.dataset and arguments.mode != "replay":
        parser.error("--dataset belongs to --mode replay")
    if arguments.attach and (
        arguments.mode == "replay" or arguments.overrides or arguments.model is not None
    ):
        parser.error(
            "--attach shows a running core as it is: leave out --mode, --dataset, --model and --set"
        )


def main(words: Sequence[str] | None = None) -> None:
    """Run ``adan-tui`` and leave with its exit code."""
    parser = _parser()
    arguments = parser.parse_args(words)
    if arguments.version:
        from importlib.metadata import version

        print(f"adan {version('adan')}")
        return
    _check(parser, arguments)

    from adan_tui.terminal import is_terminal, refusal, remote

    refused = refusal(os.environ, terminal=is_terminal())
    if refused:
        parser.exit(
            2,
            f"adan-tui: {refused}; use adan-core instead, e.g. adan-core run or adan-core status\n",
        )
    far = remote(os.environ)
    if far:
        # Read by Textual while it is imported.
        os.environ["TEXTUAL_FPS"] = _REMOTE_FRAMES
        os.environ["TEXTUAL_ANIMATIONS"] = "none"
    sys.exit(_show(arguments, far=far))


def _show(arguments: argparse.Namespace, *, far: bool) -> int:
    """Show the screen until it is left; return the exit code."""
    from adan_core.domain.state import Mode
    from adan_core.runtime.client import ClientOptions

    options = ClientOptions(
        home=arguments.home,
        overrides=tuple(arguments.overrides),
        attach=arguments.attach,
        mode=Mode.REPLAY if arguments.mode == "replay" else Mode.PAPER,
        dataset=arguments.dataset,
        model=arguments.model,
    )

    def open_session() -> "Session":
        from adan_core.runtime.client import open_client

        session = open_client(options)
        gc.freeze()
        return session

    sys.setswitchinterval(_TURN_SECONDS)
    gc.set_threshold(*_COLLECTIONS)

    return run_screen(
        open_session, theme_name=arguments.theme, attached=arguments.attach, remote=far
    )


def run_screen(
    open_session: "Callable[[], Session]",
    *,
    theme_name: str | None = None,
    attached: bool = False,
    remote: bool = False,
) -> int:
    """Show a session on this terminal until the operator leaves; return the exit code."""
    from adan_core.domain.time import SystemClock
    from adan_tui.app import AdanApp
    from adan_tui.opening import Opening
    from adan_tui.terminal import TerminalWatch

    opening = Opening(open_session)
    watch = TerminalWatch(opening.close)
    watch.start(sys.stdin.fileno())
    app = AdanApp(opening, SystemClock(), theme_name=theme_name, attached=attached, remote=remote)
    try:
        app.run()
    finally:
        watch.stop()
        if opening.session is not None and not attached:
            print("adan-tui: stopping the core and what it trains ...", file=sys.stderr)
        opening.close()
    return app.return_code or opening.exit_code


if __name__ == "__main__":
    main()
