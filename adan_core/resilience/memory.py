"""A process's memory budget: make room before it is reached, say when it is exceeded."""

import ctypes
import gc
from collections.abc import Callable
from enum import StrEnum

import psutil

GIGABYTE = 1024**3
PRESSED_FROM = 0.9
"""The share of the budget above which garbage is collected and caches are dropped."""


class MemoryLevel(StrEnum):
    """How a process stands against its budget."""

    WITHIN = "within"
    PRESSED = "pressed"
    EXCEEDED = "exceeded"


def process_memory() -> int:
    """Return the resident memory of this process, bytes."""
    return int(psutil.Process().memory_info().rss)


def collect_garbage() -> None:
    """Collect garbage, and hand what the heap no longer needs back to the system where it can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


class MemoryManager:
    """Holds one process to ``budget`` bytes.

    ``used`` measures what the process takes; ``say`` is told, in words, each time room had to be
    made; ``drop`` empties whatever caches the process keeps.
    """

    def __init__(
        self,
        budget: int,
        say: Callable[[str], None],
        *,
        used: Callable[[], int] = process_memory,
        drop: Callable[[], object] | None = None,
        collect: Callable[[], object] = collect_garbage,
    ) -> None:
        if budget <= 0:
            raise ValueError(f"a memory budget is above 0 bytes; got {budget}")
        self._budget = budget
        self._used = used
        self._say = say
        self._drop = drop
        self._collect = collect
        self._tried_at = 0

    @property
    def budget(self) -> int:
        """What the process may take, bytes."""
        return self._budget

    def limit(self, budget: int) -> None:
        """Take on another budget, from the next look on."""
        self._budget = budget

    def look(self) -> MemoryLevel:
        """Measure; above 90 % of the budget drop caches, collect garbage, say so and measure again.

        While a process stays up there it is not tried again until it has grown by another
        hundredth of the budget: collecting over and over would only cost time.
        """
        used = self._used()
        if used <= PRESSED_FROM * self._budget:
            self._tried_at = 0
            return MemoryLevel.WITHIN
        if used > self._tried_at + self._budget // 100:
            if self._drop is not None:
                self._drop()
            self._collect()
            left = self._used()
            self._tried_at = left
            self._say(
                f"memory {in_words(used)} of a budget of {in_words(self._budget)}: collected "
                f"garbage and dropped caches, {in_words(left)} now"
            )
            used = left
        if used > self._budget:
            return MemoryLevel.EXCEEDED
        return MemoryLevel.PRESSED if used > PRESSED_FROM * self._budget else MemoryLevel.WITHIN

    def refuses(self, needed: int) -> str:
        """Return why ``needed`` further bytes cannot fit into the budget; empty if they can."""
        used = self._used()
        if used + needed <= self._budget:
            return ""
        return (
            f"about {in_words(needed)} are needed on top of the {in_words(used)} in use, more than "
            f"the budget of {in_words(self._budget)}"
        )

    @property
    def described(self) -> str:
        """How much of the budget is used, in words."""
        return f"{in_words(self._used())} of a budget of {in_words(self._budget)}"


def in_words(size: float) -> str:
    """Return bytes as a person reads them."""
    return f"{size / GIGABYTE:.2f} GB" if size >= GIGABYTE else f"{size / 1024**2:.0f} MB"
