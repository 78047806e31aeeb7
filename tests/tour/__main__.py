"""Walk through ADAN as README and its keys offer it, and list every function nobody ever entered.

    make tour        (or: .venv/bin/python -m tests.tour [--keep FOLDER])

First README's commands and a scripted tour of the screen in tmux; then what lies beyond them (JSON,
other files, keys, mistakes); last, README's path with kernels as plain Python, because Python's
tracer never enters machine code: kernels count by that part alone. What is seen on the way is
checked. A function that no part executed needs a line in docs/untouched.md that says why it exists.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.tour import beyond, commands, screens
from tests.tour.place import Place
from tests.tour.untouched import ANSWERS, Function, answers, executed, functions, untouched

MAIN, BEYOND, KERNELS = "readme", "beyond", "kernels"


def walk(place: Place) -> None:
    """Play every act of every part."""
    place.prepare()
    place.part = MAIN
    place.act("README's commands", partial(commands.readme, place))
    for name, play in screens.tours():
        place.act(name, partial(play, place))
    place.part = BEYOND
    for name, play in beyond.acts():
        place.act(name, partial(play, place))
    place.part = KERNELS
    place.act("README's path with kernels as plain Python", partial(beyond.kernels, place))


def judge(folder: Path) -> list[str]:
    """Say what was executed and return what is wrong: unanswered functions, outdated answers."""
    every = functions()
    main = executed(folder, MAIN)
    compiled = executed(folder, KERNELS)
    plain = tuple(one for one in every if not one.kernel)
    left = untouched(plain, main)
    left += untouched(tuple(one for one in every if one.kernel), compiled)
    further = {one.name for one in untouched(left, executed(folder, BEYOND))}
    known = answers()
    print(f"\n{len(every)} functions; README and the screen entered {len(every) - len(left)}")
    _list(
        "entered only by what lies beyond README", [one for one in left if one.name not in further]
    )
    alone = [one for one in left if one.name in further]
    _list("entered by nothing, with the answer", alone, known)
    wrong = [f"no answer in {ANSWERS.name}: {one.name}" for one in alone if one.name not in known]
    names = {one.name for one in every}
    wrong += [
        f"{ANSWERS.name} answers for {name}, which is gone" for name in known if name not in names
    ]
    # A function that is entered now and then (a race, a signal) may keep its answer.
    return wrong


def _list(title: str, found: list[Function], known: dict[str, str] | None = None) -> None:
    print(f"\n{len(found)} {title}:")
    for one in found:
        answer = "" if known is None else f": {known.get(one.name, 'NO ANSWER')}"
        print(f"  {one.name}{answer}")


def main() -> int:
    """Walk, judge, and say what was wrong; 1 if anything was."""
    parser = argparse.ArgumentParser(prog="make tour", description=__doc__.split("\n\n")[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="walk in FOLDER and leave it")
    parser.add_argument("--judge", action="store_true", help="judge the walk kept in FOLDER again")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="adan-tour-") as temporary:
        place = Place(arguments.keep or Path(temporary))
        if not arguments.judge:
            walk(place)
        wrong = place.wrong + judge(place.measured)
    print(f"\n{time.monotonic() - began:.0f} s")
    for one in wrong:
        print(f"\nWRONG: {one}", file=sys.stderr)
    print(f"{len(wrong)} wrong" if wrong else "all as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
