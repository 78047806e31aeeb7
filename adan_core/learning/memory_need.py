"""How much memory a training will take beyond what its process holds already, by its shapes."""

from typing import Final

from adan_core.accounting.account import ACCOUNT_COLUMNS, PORTFOLIO_COLUMNS
from adan_core.learning.training_plan import TrainingPlan

_FLOAT64, _FLOAT32 = 8, 4
_PRICES: Final = 4
# Per step beside the observation: action, reward, episode start, value, log-probability, advantage, return.
_PER_STEP: Final = 7
# The buffer is flattened into a second copy before it is learnt from.
_BUFFER_COPIES: Final = 2
# Hidden units of both networks, forward, backward and their tanh's.
_ACTIVATIONS: Final = 2 * 2 * 64 * 3
# What torch, the optimiser and the allocator take at their first update, measured.
_FIRST_UPDATE: Final = 96 * 1024**2


def memory_needed(plan: TrainingPlan) -> int:
    """Return about how many bytes learning ``plan`` will take on top of its candles.

    The environments join their candles into arrays of their own; a rollout is kept twice; a batch
    passes through the networks forwards and back.
    """
    learning = plan.learning
    candles = sum(
        len(part) * (_PRICES * _FLOAT64 + part.market.shape[1] * _FLOAT32)
        for part in (*plan.training, *plan.validation)
    )
    observed = plan.training[0].market.shape[1] + len(PORTFOLIO_COLUMNS)
    rollout = learning.copies * learning.steps_per_copy * (observed + _PER_STEP) * _FLOAT32
    accounts = learning.copies * ACCOUNT_COLUMNS * _FLOAT64
    batch = learning.batch_size * (observed + _ACTIVATIONS) * _FLOAT32
    needed: int = candles + _BUFFER_COPIES * rollout + accounts + batch + _FIRST_UPDATE
    return needed
