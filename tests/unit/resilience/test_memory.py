"""A process's memory budget, measured by what the test says it takes."""

from dataclasses import dataclass, field

import pytest

from adan_core.resilience.memory import (
    GIGABYTE,
    MemoryLevel,
    MemoryManager,
    collect_garbage,
    process_memory,
)

BUDGET = 8 * GIGABYTE


@dataclass
class Process:
    """Takes ``used`` bytes, of which dropping caches and collecting garbage free some."""

    used: int
    cached: int = 0
    garbage: int = 0
    said: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def drop(self) -> None:
        self.done.append("dropped")
        self.used, self.cached = self.used - self.cached, 0

    def collect(self) -> None:
        self.done.append("collected")
        self.used, self.garbage = self.used - self.garbage, 0

    def manager(self) -> MemoryManager:
        return MemoryManager(
            BUDGET, self.said.append, used=lambda: self.used, drop=self.drop, collect=self.collect
        )


def test_above_90_percent_caches_are_dropped_garbage_is_collected_and_it_is_said() -> None:
    process = Process(used=int(0.90 * BUDGET), cached=GIGABYTE, garbage=GIGABYTE // 2)
    memory = process.manager()
    assert memory.look() is MemoryLevel.WITHIN
    assert process.done == process.said == []
    process.used = int(0.91 * BUDGET)
    assert memory.look() is MemoryLevel.WITHIN  # there was room to be made
    assert process.done == ["dropped", "collected"]
    (said,) = process.said
    assert "7.28 GB of a budget of 8.00 GB" in said
    assert "5.78 GB now" in said


def test_where_nothing_can_be_freed_it_is_tried_again_only_after_growth() -> None:
    process = Process(used=int(0.93 * BUDGET))
    memory = process.manager()
    for _ in range(5):
        assert memory.look() is MemoryLevel.PRESSED
    assert process.done == ["dropped", "collected"]
    process.used = int(0.95 * BUDGET)
    assert memory.look() is MemoryLevel.PRESSED
    assert len(process.said) == 2
    process.used = int(0.5 * BUDGET)
    assert memory.look() is MemoryLevel.WITHIN
    process.used = int(0.93 * BUDGET)
    memory.look()
    assert len(process.said) == 3


def test_above_the_budget_after_making_room_it_is_exceeded() -> None:
    process = Process(used=BUDGET + GIGABYTE, garbage=GIGABYTE // 2)
    memory = process.manager()
    assert memory.look() is MemoryLevel.EXCEEDED
    memory.limit(2 * BUDGET)
    assert memory.look() is MemoryLevel.WITHIN


def test_what_cannot_fit_is_refused_with_its_figure() -> None:
    memory = Process(used=3 * GIGABYTE).manager()
    assert memory.refuses(5 * GIGABYTE) == ""
    refusal = memory.refuses(6 * GIGABYTE)
    assert "6.00 GB are needed on top of the 3.00 GB" in refusal
    assert "budget of 8.00 GB" in refusal


def test_a_process_is_really_measured_and_gives_memory_back() -> None:
    before = process_memory()
    held = bytearray(b"x" * (64 * 1024**2))
    with_it = process_memory()
    assert with_it - before > 60 * 1024**2
    del held
    collect_garbage()
    assert process_memory() < with_it - 60 * 1024**2


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0 bytes"):
        MemoryManager(0, print)
