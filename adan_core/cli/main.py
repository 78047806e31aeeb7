"""The entry point of ``adan-core``: finds the command, and imports only that one."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

import adan_core
from adan_core.cli.context import Context, printable, system_streams
from adan_core.config.locations import locate
from adan_core.domain.errors import AdanError, SystemFailure
from adan_core.domain.time import SystemClock

# name: (what it is for, the module that carries it out)
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("trade on paper, or replay a data set, without a screen", "run"),
    "status": ("say what the core is doing, running or not", "control"),
    "halt": ("stop: no new orders, cancel entries, keep protective stops", "control"),
    "kill": ("the same as halt; with --flatten, close every position, too", "control"),
    "rearm": ("allow trading again after a kill (asks for a typed word)", "control"),
    "train": ("train a model on candles", "train"),
    "evaluate": ("judge a model out of sample, net of costs", "evaluate"),
    "tune": ("search for better settings without seeing the test", "tune"),
    "walk-forward": ("judge a way of learning over the whole history", "walk_forward"),
    "backtest": ("run a model or a plain strategy over candles", "backtest"),
    "prove": ("show on markets of known worth that the agent learns what can be learnt", "prove"),
    "data": ("fetch, import, list, check, export or make candles", "data"),
    "sandbox": ("serve a SIMULATED exchange, to try ADAN against", "sandbox"),
    "models": ("sealed models: list, judge, put into service, move", "models"),
    "keys": ("keep exchange keys in the keyring", "keys"),
    "config": ("show and check settings, and say where files are", "config"),
    "doctor": ("check this machine, with a remedy for each failure", "doctor"),
}

# What no code of ours brings about, and no traceback helps with; compiled kernels and ccxt's files,
# say, are written by libraries that hand it on as it is.
_MACHINE_REFUSES: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
    | {errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE}
)

_EXAMPLES = """\
examples:
  adan-core data sample --rows 20000 --timeframe 1h --name sample
  adan-core train --dataset sample --steps 200000
  adan-core evaluate --dataset sample
  adan-core run                  (paper account on a simulated market; ctrl-c ends it)
  adan-core halt                 (from another terminal)

exit codes: 0 done, 1 failed, 2 usage or settings, 3 data, 4 model, 5 trading or an exchange,
6 security, 7 machine, 8 a core already runs, 9 no core runs, 130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with its complaint in ADAN's form and its usage kept short."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def _global_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", help="keep every file of ADAN's under FOLDER"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a setting, e.g. --set market.seed=11 (may be repeated)",
    )


def _main_parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:<14}{summary}" for name, (summary, _) in COMMANDS.items())
    parser = _Parser(
        prog="adan-core",
        usage="adan-core [--home FOLDER] [--set KEY=VALUE] COMMAND ...",
        description="ADAN's trading core without a screen. Commands:\n\n" + commands,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _global_options(parser)
    parser.add_argument("--version", action="version", version=f"ADAN {adan_core.__version__}")
    parser.add_argument("command", choices=tuple(COMMANDS), metavar="COMMAND", help="one of these")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="the command's own options")
    return parser


def _run(words: Sequence[str]) -> int:
    # --home and --set may stand anywhere, behind a command's own subcommand, too.
    anywhere = _Parser(prog="adan-core", add_help=False, allow_abbrev=False)
    _global_options(anywhere)
    everywhere, rest = anywhere.parse_known_args(words)
    arguments = _main_parser().parse_args(rest)
    name: str = arguments.command
    summary, module_name = COMMANDS[name]
    module = import_module(f"adan_core.cli.{module_name}")
    parser = _Parser(
        prog=f"adan-core {name}",
        description=summary[0].upper() + summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=name)
    _global_options(parser)
    module.configure(parser)
    chosen = parser.parse_args(arguments.words)
    chosen.home = everywhere.home
    home = locate(everywhere.home, os.environ)
    # Compiled kernels belong to ADAN's cache; numba asks the environment when it is first imported.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(home.numba_cache))
    stdin, stdout, stderr = system_streams()
    context = Context(
        home=home,
        clock=SystemClock(),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        environment=os.environ,
        overrides=tuple(everywhere.overrides),
    )
    code: int = module.run(chosen, context)
    return code


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Carry out one command line and exit with its code."""
    try:
        code = _run(sys.argv[1:] if words is None else words)
        sys.stdout.flush()
    except AdanError as error:
        # A message may quote what it refuses, and somebody may have put a key there.
        from adan_core.security.redaction import redact_text

        text = f"adan-core: {redact_text(str(error))}"
        print(printable(text, sys.stderr.encoding), file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader has gone; without this Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        if error.errno not in _MACHINE_REFUSES:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        text = (
            f"adan-core: {where}{error.strerror}; expected: a disk with room, and files this user"
        )
        print(printable(f"{text} may read and write", sys.stderr.encoding), file=sys.stderr)
        code = SystemFailure.exit_code
    sys.exit(code)
