"""One model of a market is in service, however many are promoted or taken back at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from adan_core.learning.lifecycle import IN_SERVICE, Cause
from tests.service_home import ServiceHome

NAMES = ("a", "b", "c", "d")


def in_service(home: ServiceHome) -> list[str]:
    book = home.book()
    return [name for name in NAMES if book.state(name) in IN_SERVICE]


def test_of_promotions_at_once_the_last_one_is_in_service(tmp_path: Path) -> None:
    home = ServiceHome(tmp_path)
    for name in NAMES:
        home.seal(name, 1.0)
    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(home.promote, NAMES))
    promoted = [step for step in home.book().lifecycle.steps() if step.cause is Cause.PROMOTED]
    assert in_service(home) == [promoted[-1].model_id]


def test_who_fails_while_another_is_promoted_puts_nobody_beside_it(tmp_path: Path) -> None:
    home = ServiceHome(tmp_path)
    for name in NAMES:
        home.seal(name, 1.0)
    home.promote("a")
    home.promote("b")

    def fail() -> None:
        book = home.book()
        book.step_down(book.registry.load("b"), Cause.DEMOTED, "fell")

    with ThreadPoolExecutor(2) as pool:
        falling, rising = pool.submit(fail), pool.submit(home.promote, "c")
        assert rising.exception() is None
        assert falling.exception() is None or "is retired" in str(falling.exception())
    assert in_service(home) == ["c"]
