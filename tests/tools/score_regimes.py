"""Judge the regime detector on simulated paths that nothing was fitted or chosen on.

    .venv/bin/python -m tests.tools.score_regimes

prints for five disjoint sets of seeds, of more than 200 crises each: the macro-F1 per candle, how
many candles after its first a crisis is reported, and the macro-F1 where every deviation of the
generator's law is times 1.4, its drifts as they are (a few minutes).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.market import Regime
from adan_core.learning.regime import detect_regimes
from adan_core.learning.regime_delays import onset_delays
from adan_core.learning.regime_features import WARM_UP
from adan_core.learning.regime_model import REGIMES
from tests.tools.fit_regimes import LOUDER, market
from tests.tools.regime_score import macro_f1

Integers = NDArray[np.int64]

SETS: Final = tuple(range(first, first + 24) for first in range(400_000, 405_000, 1000))
LOUDER_SEEDS: Final = 4
CRISIS: Final = REGIMES.index(Regime.CRISIS)


def answered(seed: int, deviations: float = 1.0) -> tuple[Integers, Integers]:
    """Return a path's labels and the detector's answers, less the warm-up."""
    series, labels = market(seed, deviations)
    return labels[WARM_UP:], detect_regimes(series).regimes[WARM_UP:]


def main() -> None:
    """Score each set and print its line."""
    for seeds in SETS:
        paths = [answered(seed) for seed in seeds]
        late = np.concatenate([onset_delays(*path, CRISIS) for path in paths])
        truth, answer = (np.concatenate(part) for part in zip(*paths, strict=True))
        louder = [answered(seed + 500, LOUDER) for seed in seeds[:LOUDER_SEEDS]]
        louder_truth, louder_answer = (np.concatenate(part) for part in zip(*louder, strict=True))
        print(
            f"seeds {seeds.start}-{seeds.stop - 1}: {truth.size:,} candles, "
            f"macro-F1 {macro_f1(truth, answer):.3f}; {late.size} crises, delay p90 "
            f"{np.quantile(late, 0.9, method='higher'):.0f}, within 8 {np.mean(late <= 8.0):.1%}, "
            f"within 7 {np.mean(late <= 7.0):.1%}, never {np.mean(np.isinf(late)):.1%}; reported "
            f"{np.mean(answer == CRISIS):.2%} of candles, true {np.mean(truth == CRISIS):.2%}; "
            f"deviations x{LOUDER}: macro-F1 {macro_f1(louder_truth, louder_answer):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
