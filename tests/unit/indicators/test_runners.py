"""Compiled loops, one per indicator: made by one thread at a time, and once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

import pytest

from adan_core.indicators import runners


def test_threads_that_need_loops_at_once_make_them_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meeting = Barrier(2)

    def met(_name: str) -> int:
        try:
            meeting.wait(0.2)
        except BrokenBarrierError:
            return 0
        return 1

    monkeypatch.setattr(runners, "_address_of", met)
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(runners.addresses_of, [("first",), ("second",)])
    assert [addresses.tolist() for addresses in found] == [[0], [0]]
