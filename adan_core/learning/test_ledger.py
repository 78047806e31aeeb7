"""Which test periods were looked at, by what: a test is one only once, and the program remembers.

Whoever tries ten models of one recipe on the same test and keeps the best has chosen by the test; what
it shows then is no judgement any more. So each look is a row in a chained file that nobody can quietly
shorten, and the rule is:

* the same subject (a model's very bytes, a walk-forward's very settings, a study's best settings) may be
  looked at again as often as one likes: it is the same look;
* another subject of the same recipe, judged in the same way on candles that overlap in time, is refused,
  unless somebody says why it has to be (``again``); then it counts;
* a subject of another recipe is a look of its own, and counts;
* made-up markets have no end of fresh candles: there looks are counted and never refused.

How many looks there were is shown with the result and deflates the Sharpe ratio.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from adan_core.config.settings import Settings
from adan_core.domain.errors import SecurityError, SystemFailure, UsageError
from adan_core.domain.time import Clock, Milliseconds, iso
from adan_core.security.audit import AuditLog, verify_chain

_ACTION: Final = "test.look"
# What a way of learning is: the rest of the settings moves neither what is learnt nor how it trades.
_RECIPE_SECTIONS: Final = (
    "account",
    "behaviour",
    "costs",
    "learning",
    "profiles",
    "reward",
    "risk",
    "rules",
    "voting",
)
# These say how fast and how often, not what.
_NO_RECIPE: Final = ("checkpoint_seconds", "steps", "threads")


@dataclass(frozen=True, slots=True)
class TestPeriod:
    """The candles of a test: closes from ``start`` to ``stop``, milliseconds.

    ``path`` names a made-up market's very candles; real ones of a symbol are the same wherever they
    come from, and it is empty.
    """

    __test__ = False  # no test case, whatever its name says

    symbol: str
    path: str
    start: Milliseconds
    stop: Milliseconds

    def overlaps(self, other: "TestPeriod") -> bool:
        """Whether some candle lies in both."""
        same = (self.symbol, self.path) == (other.symbol, other.path)
        return same and self.start < other.stop and other.start < self.stop


@dataclass(frozen=True, slots=True)
class Look:
    """One look: number ``number`` at this test; ``repeated`` if the same subject was seen before."""

    number: int
    repeated: bool
    first_at: str


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept of a look."""

    kind: str
    recipe: str
    subject: str
    symbol: str
    path: str
    start: Milliseconds
    stop: Milliseconds
    again: str

    @property
    def period(self) -> TestPeriod:
        return TestPeriod(self.symbol, self.path, self.start, self.stop)


class TestLedger:
    """The file of looks; SecurityError if it was altered, for then nobody can say how many there were."""

    __test__ = False

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def look(
        self, kind: str, recipe: str, subject: str, period: TestPeriod, again: str = ""
    ) -> Look:
        """Take a look down, on disk, before anybody sees what it shows, and return which one it is.

        UsageError for a second look of the recipe by another subject, where ``again`` says no reason.
        """
        look = self.allowed(kind, recipe, subject, period, again)
        if not look.repeated:
            row = _Row(
                kind, recipe, subject, period.symbol, period.path, period.start, period.stop, again
            )
            AuditLog(self._path, self._clock).record(_ACTION, "taken", msgspec.to_builtins(row))
        return look

    def allowed_together(self, *questions: tuple[str, str, str, TestPeriod, str]) -> None:
        """Refuse (UsageError) looks of which each would be allowed, but not after the others."""
        taken: list[tuple[str, str, str, TestPeriod, str]] = []
        for question in questions:
            kind, recipe, subject, period, again = question
            look = self.allowed(*question)
            rivals = [
                one
                for one in taken
                if one[:2] == (kind, recipe) and one[2] != subject and one[3].overlaps(period)
            ]
            if rivals and not (look.repeated or period.path or again):
                raise UsageError(
                    f"{rivals[0][2]} and {subject} are of one recipe and would both be judged on the "
                    f"test of {period.symbol} from {iso(period.start)} to {iso(period.stop)}",
                    "one look: whoever chooses among models by their test has no test any more",
                    "compare on simulated candles, or say why with --look-again REASON; it will count",
                )
            taken.append(question)

    def allowed(
        self, kind: str, recipe: str, subject: str, period: TestPeriod, again: str = ""
    ) -> Look:
        """Return which look it would be, and take nothing down; UsageError as ``look`` raises it.

        To be asked before the work: what refuses to judge afterwards has shown nothing.
        """
        rows = [(time, row) for time, row in self._rows() if row.period.overlaps(period)]
        seen = {(row.kind, row.recipe, row.subject) for _, row in rows}
        for time, row in rows:
            if (row.kind, row.recipe, row.subject) == (kind, recipe, subject):
                return Look(len(seen), repeated=True, first_at=time)
        for time, row in rows:
            if (row.kind, row.recipe) == (kind, recipe) and not period.path and not again:
                raise UsageError(
                    f"a second look at the test of {period.symbol} from {iso(period.start)} to "
                    f"{iso(period.stop)} by the same recipe: {row.subject} was judged on it at {time}",
                    "one look: whoever chooses among models by their test has no test any more",
                    "judge on later candles, or say why with --look-again REASON; it will count. "
                    "Where a data set has grown and a newer model of the recipe is to be judged, "
                    "the reason may say so: candles seen before lie in both tests",
                )
        time = rows[0][0] if rows else iso(self._clock.now())
        return Look(len(seen) + 1, repeated=False, first_at=time)

    def _rows(self) -> Iterator[tuple[str, _Row]]:
        report = verify_chain(self._path)
        if not report.intact:
            raise SecurityError(
                f"{self._path}, line {report.line}: {report.reason}",
                "every look at a test, as it was written down",
                "put back an unharmed copy; without it no test can be called untouched",
            )
        if not report.rows:
            return
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError as error:
            raise SystemFailure(f"{self._path} cannot be read: {error.strerror}") from error
        for line in lines[: report.rows]:
            row = json.loads(line)
            if row["action"] == _ACTION:
                yield row["time"], msgspec.convert(row["details"], _Row)


class FirstLook:
    """One look, allowed now (UsageError if it is not) and taken down with the first result there is.

    A judgement of many parts that comes to none of them, for it was refused, has shown nothing.
    """

    def __init__(
        self,
        ledger: TestLedger,
        kind: str,
        recipe: str,
        subject: str,
        period: TestPeriod,
        again: str = "",
    ) -> None:
        self._ledger = ledger
        self._question = kind, recipe, subject, period, again
        self._taken: Look | None = None
        ledger.allowed(*self._question)

    def look(self) -> Look:
        """Take it down, once, and return which one it is."""
        if self._taken is None:
            self._taken = self._ledger.look(*self._question)
        return self._taken


def recipe_of(
    settings: Settings | Mapping[str, Any], feature_schema_hash: str, members: Sequence[str]
) -> str:
    """Return a name for a way of learning: settings and features count, seed, steps and data do not.

    ``members`` are their names, whatever their order.
    """
    plain = settings.model_dump(mode="json") if isinstance(settings, Settings) else dict(settings)
    # A model of another version may know less.
    counted = {section: plain.get(section, {}) for section in _RECIPE_SECTIONS}
    counted["learning"] = {
        key: value for key, value in counted["learning"].items() if key not in _NO_RECIPE
    }
    text = json.dumps([counted, feature_schema_hash, sorted(members)], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
