"""Watches the model in service beside its judgement, its challenger beside it, and the market's drift.

Everything happens once the engine's orders are out, on paper fills of its own; what fails here is
said and switched off, and trading goes on.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from adan_core.config.service_settings import Service
from adan_core.domain.alerts import Alarm, Severity
from adan_core.domain.candles import Candle
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.errors import AdanError
from adan_core.domain.market import VOLATILITY_RATIO, RegimeReading
from adan_core.domain.service import ServiceStatus
from adan_core.domain.time import Milliseconds
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.drift import DriftMeter
from adan_core.learning.regime_model import REGIMES
from adan_core.learning.segments import Economics
from adan_core.learning.shadow import Shadow
from adan_core.runtime.tenure import TENURE_KEY, Tenure
from adan_core.runtime.watch_record import (
    WATCH_SCHEMA_VERSION,
    WatchRecord,
    arrays_of,
    load_record,
    save_record,
    stored,
)
from adan_core.runtime.watched import Decided, Engine, Judged, Passed, Side, Succession
from adan_core.trading.journal import Journal
from adan_core.trading.witness import FlatPolicy

CONFIRMING: Final = 100
"""Candles in a row under its floor before a model is taken out of service."""
_SHOWN: Final = 8

_log = structlog.get_logger()


class ServiceWatch:
    """A ``trading.witness.Witness``; ``aside`` says why nothing is traded (empty: something is).

    ``duration`` is a candle's, in milliseconds. Without ``succession`` (a replay) nothing is ever
    taken out of service.
    """

    def __init__(
        self,
        champion: Judged,
        challenger: Judged | None,
        economics: Mapping[str, Economics],
        capital: float,
        settings: Service,
        journal: Journal,
        alarm: Alarm,
        duration: Milliseconds,
        succession: Succession | None,
        aside: str = "",
    ) -> None:
        self.settings = settings
        self._economics = economics
        self._capital = capital
        self._journal = journal
        self._alarm = alarm
        self._duration = duration
        self._succession = succession
        self._engine: Engine | None = None
        self._events: list[Passed | Decided] = []
        self._shadowed: list[tuple[Milliseconds, str, str, PolicyOutput, float]] = []
        self._closes: dict[str, tuple[Milliseconds, float]] = {}
        self._tenure = journal.history.load(TENURE_KEY, Tenure) or Tenure(1, {})
        kept = load_record(journal)
        self._last_close = 0 if kept is None else kept.last_close
        self._below = 0 if kept is None else kept.below
        self._closing = kept is not None and kept.closing
        self._aside = aside
        self._follower: Judged | None = None if aside else champion
        self._challenger_note = ""
        self._champion = self._side(champion)
        self._challenger = None if challenger is None else self._side(challenger)
        self._drift = self._meter(champion)
        self._off = ""
        if kept is not None:
            self._champion.take_up(kept.champion)
            if kept.champion is None or kept.champion.digest != champion.digest:
                self._below = 0
            else:
                self._drift.restore(arrays_of(kept.drift))
            if self._challenger is not None:
                self._challenger.take_up(kept.challenger)

    def _side(self, judged: Judged) -> Side:
        return Side(judged, Shadow(judged.model, self._economics, self._capital))

    def _meter(self, judged: Judged) -> DriftMeter:
        return DriftMeter(judged.expectation, self.settings, len(self._economics))

    def attach(self, engine: Engine) -> None:
        """Learn whom to ask to let somebody else decide; a model out of service does not begin."""
        self._engine = engine
        if self._aside or self._closing:
            engine.serve(FlatPolicy(self._champion.judged.model.model_id), None)

    def prepare(self) -> None:
        """Have every kernel ready that a candle needs."""
        self._champion.shadow.prepare()

    def take_on(self, settings: Service) -> None:
        """Go on under other settings."""
        self.settings = settings
        self._drift.settings = settings

    @property
    def model(self) -> ServiceModel:
        """The model in service, or the one that left it last."""
        return self._champion.judged.model

    # -- what the engine tells ----------------------------------------------------------------

    def candle(
        self, symbol: str, candle: Candle, close_time: Milliseconds, reading: RegimeReading | None
    ) -> None:
        """Note a settled candle."""
        regime = -1 if reading is None else REGIMES.index(reading.regime)
        drivers = {} if reading is None else dict(reading.drivers)
        volatility = drivers.get(VOLATILITY_RATIO, float("nan"))
        self._events.append(Passed(symbol, candle, close_time, regime, volatility))

    def decided(
        self, symbol: str, market: NDArray[np.float64], regime: int, output: PolicyOutput
    ) -> None:
        """Note a decision of the model in service."""
        self._events.append(Decided(symbol, market.copy(), regime, output))

    def finish(self) -> None:
        """Let both models' accounts follow, then hold the champion to its judgement."""
        events, self._events = self._events, []
        times = sorted({one.close_time for one in events if isinstance(one, Passed)})
        new = [time for time in times if time > self._last_close]
        if self._challenger is not None:
            try:
                self._challenge(self._challenger, events, new)
            except Exception as error:  # noqa: BLE001 what looks on must never stop what trades
                self._switch_off_challenger(error)
        if not self._off:
            try:
                self._follow(events, new)
            except Exception as error:  # noqa: BLE001 as above
                self._off = f"{type(error).__name__}: {error}"
                _log.warning("the watch failed", exc_info=error)
                self._alarm(
                    "service watch",
                    Severity.CRITICAL,
                    f"nothing watches over the model in service any more: {self._off}",
                )

    def _challenge(self, side: Side, events: list[Passed | Decided], new: list[int]) -> None:
        for event in events:
            if isinstance(event, Passed):
                side.shadow.candle(event.symbol, event.candle, event.regime, event.volatility)
                self._closes[event.symbol] = event.close_time, event.candle.close
                continue
            at, close = self._closes[event.symbol]
            output = side.shadow.decide(event.symbol, at, close, event.market, event.regime)
            model_id, equity = side.judged.model.model_id, side.shadow.equity
            time = new[-1] if new else self._last_close
            self._shadowed.append((time, event.symbol, model_id, output, equity))
        decided = any(isinstance(event, Decided) for event in events)
        self._count(side, new, decided=decided)

    def _follow(self, events: list[Passed | Decided], new: list[int]) -> None:
        side = self._champion
        serving = not (self._aside or self._closing)
        for event in events:
            if isinstance(event, Passed):
                side.shadow.candle(event.symbol, event.candle, event.regime, event.volatility)
            elif serving:
                side.shadow.follow(event.symbol, event.output)
                seen = side.judged.model.normaliser.apply(event.market)
                self._drift.saw(event.symbol, seen, event.output.target_exposure)
        if serving:
            decided = any(isinstance(event, Decided) for event in events)
            self._count(side, new, decided=decided)
            if new:
                self._judge(len(new))
                self._tell_drift()
        self._last_close = max([self._last_close, *new])
        self._look_for_succession()

    def _count(self, side: Side, new: list[int], *, decided: bool) -> None:
        for time in new:
            side.since = side.since or time
            side.shadow.passed()
        if decided and new:
            total = self._tenure.decided.get(side.judged.digest, 0) + self._duration
            self._tenure = Tenure(1, {**self._tenure.decided, side.judged.digest: total})

    # -- who decides --------------------------------------------------------------------------

    def _judge(self, passed: int) -> None:
        """Hold the champion to its own band: its floor for so many candles, and its largest fall."""
        shadow, expectation = self._champion.shadow, self._champion.judged.expectation
        if expectation is None:
            return
        floor = expectation.floor(shadow.candles)
        under = floor is not None and shadow.log_return < floor
        self._below = self._below + passed if under else 0
        why = ""
        if shadow.drawdown > expectation.max_drawdown:
            why = (
                f"it fell {shadow.drawdown:.2%} from its peak, and its judgement lets one expect "
                f"{expectation.max_drawdown:.2%} at most"
            )
        elif self._below >= CONFIRMING and floor is not None:
            why = (
                f"its log-return of {shadow.log_return:+.4f} after {shadow.candles:,} candles has "
                f"been below the {floor:+.4f} of its judgement for {self._below} candles"
            )
        if why and self.settings.demotion and self._succession is not None:
            follower = None
            try:
                follower = self._succession.demote(why)
            except AdanError as error:
                why += f" (it could not be written down: {error})"
            self._leave(why, follower)

    def _look_for_succession(self) -> None:
        """Notice a roll-back from outside; let the follower decide once nothing is held any more."""
        succession, engine = self._succession, self._engine
        if succession is None or engine is None:
            return
        if not (self._aside or self._closing):
            why = succession.left()
            if why:
                self._leave(why, succession.follower())
        if self._closing and engine.flat:
            self._closing = False
            if self._follower is not None:
                self._begin(self._follower, engine)

    def _leave(self, why: str, follower: Judged | None) -> None:
        model_id = self._champion.judged.model.model_id
        self._closing, self._below, self._follower = True, 0, follower
        if follower is None:
            self._aside = f"model {model_id} is out of service: {why}"
            after = "nothing is traded until another is promoted and ADAN restarted"
        else:
            after = f"{follower.model.model_id} follows once nothing is held"
        if self._engine is not None:
            self._engine.serve(FlatPolicy(model_id), None)
        self._alarm(
            f"demotion of {model_id}",
            Severity.CRITICAL,
            f"model {model_id} is out of service: {why}; {after}",
        )

    def _begin(self, judged: Judged, engine: Engine) -> None:
        if judged.digest != self._champion.judged.digest:
            self._champion, self._drift = self._side(judged), self._meter(judged)
            if self._challenger is not None:
                self._champion.base = 0.0
                self._challenger.base = self._challenger.shadow.log_return
        engine.serve(judged.model.open_policy(), judged.model.normaliser)

    # -- what is said of it ---------------------------------------------------------------------

    def _tell_drift(self) -> None:
        reading = self._drift.reading()
        if reading.outside is not None and reading.outside > reading.outside_limit:
            self._alarm(
                "drift of the market",
                Severity.WARNING,
                f"{reading.outside:.0%} of what was seen lately lies outside the training range "
                f"(limit {reading.outside_limit:.0%})",
            )
        distance, limit = reading.mix_distance, reading.mix_limit
        if distance is not None and limit is not None and distance > limit:
            self._alarm(
                "drift of the actions",
                Severity.WARNING,
                f"the model's actions differ from its judgement's by {distance:.2f} in total "
                f"variation (limit {limit:.2f})",
            )

    def _switch_off_challenger(self, error: Exception) -> None:
        name = "" if self._challenger is None else self._challenger.judged.model.model_id
        self._challenger, self._shadowed = None, []
        self._challenger_note = f"{name} is switched off: {type(error).__name__}: {error}"
        _log.warning("the challenger failed", exc_info=error)
        self._alarm("challenger", Severity.WARNING, f"challenger {self._challenger_note}")

    def status(self) -> ServiceStatus:
        """Return the newest figures, frozen."""
        champion, challenger = self._champion, self._challenger
        expectation = champion.judged.expectation
        gap = None
        if challenger is not None:
            gap = (challenger.shadow.log_return - challenger.base) - (
                champion.shadow.log_return - champion.base
            )
        return ServiceStatus(
            champion=champion.standing(),
            floor=None if expectation is None else expectation.floor(champion.shadow.candles),
            drawdown_limit=None if expectation is None else expectation.max_drawdown,
            band_note=self._off or champion.judged.note,
            challenger=None if challenger is None else challenger.standing(),
            challenger_note=self._challenger_note,
            difference=gap,
            shadow=() if challenger is None else self._journal.history.shadow_decisions(_SHOWN),
            drift=self._drift.reading(),
            aside=self._aside,
        )

    def save(self) -> None:
        """Keep everything, and what the challenger decided, in the commit that is going on."""
        for time, symbol, model_id, output, equity in self._shadowed:
            self._journal.history.record_shadow(time, symbol, model_id, output, equity)
        self._shadowed = []
        save_record(
            self._journal,
            WatchRecord(
                WATCH_SCHEMA_VERSION,
                self._champion.record(),
                None if self._challenger is None else self._challenger.record(),
                stored(self._drift.memory()),
                self._last_close,
                self._below,
                self._closing,
            ),
        )
        self._journal.history.save(TENURE_KEY, self._tenure)
