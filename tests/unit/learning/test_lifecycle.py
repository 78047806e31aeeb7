"""What became of each model: raised by a signature alone, lowered by anybody, in an unbroken chain."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adan_core.domain.errors import ModelError, SecurityError
from adan_core.domain.time import ManualClock
from adan_core.learning.gates import Gate
from adan_core.learning.lifecycle import Cause, Lifecycle, ModelState, Step

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
TRUSTED = {"operator": KEY.public_key().public_bytes_raw()}
DIGEST = "d" * 64
PASSED = (Gate("trades", "80", "at least 30", passed=True, reason=""),)


def lifecycle(folder: Path) -> Lifecycle:
    return Lifecycle(folder / "lifecycle.jsonl", TRUSTED, {"shipped": "s" * 64}, ManualClock(5))


def promote(book: Lifecycle, model: str, after: ModelState = ModelState.PAPER) -> Step:
    return book.record(model, DIGEST, "market", after, Cause.PROMOTED, "passed", PASSED, KEY)


def retire(book: Lifecycle, model: str, cause: Cause = Cause.DEMOTED) -> Step:
    return book.record(model, DIGEST, "market", ModelState.RETIRED, cause, "fell")


def test_a_model_is_a_candidate_and_a_shipped_one_begins_on_paper(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    assert book.state("any", DIGEST) is ModelState.CANDIDATE
    assert book.state("shipped", "s" * 64) is ModelState.PAPER
    assert book.state("shipped", "another content") is ModelState.CANDIDATE


def test_a_life_is_kept_with_who_when_why_and_the_gates_figures(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    promote(book, "a", ModelState.LIVE)
    retire(book, "a")
    first, second, third = lifecycle(tmp_path).history("a", DIGEST)
    assert [one.after for one in (first, second, third)] == ["paper", "live", "retired"]
    assert first.gates == PASSED
    assert (first.time, bool(first.user), third.why) == (5, True, "fell")
    assert lifecycle(tmp_path).state("a", DIGEST) is ModelState.RETIRED


def test_nobody_rises_without_a_signature(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    with pytest.raises(SecurityError, match="raised to paper without a signature"):
        book.record("a", DIGEST, "market", ModelState.PAPER, Cause.PROMOTED, "because", ())
    promote(book, "a")
    with pytest.raises(SecurityError, match="raised to live without a signature"):
        book.record("a", DIGEST, "market", ModelState.LIVE, Cause.PROMOTED, "because", ())
    assert len(book.steps()) == 1


def test_one_is_put_back_unsigned_where_a_signature_had_put_it_before(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    retire(book, "a", Cause.SUCCEEDED)
    back = book.record("a", DIGEST, "market", ModelState.PAPER, Cause.RESTORED, "b fell", ())
    assert back.number == 3
    assert lifecycle(tmp_path).state("a", DIGEST) is ModelState.PAPER


def test_another_content_of_the_same_name_inherits_nothing(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    assert book.state("a", "e" * 64) is ModelState.CANDIDATE
    with pytest.raises(SecurityError, match="without a signature"):
        book.record("a", "e" * 64, "market", ModelState.PAPER, Cause.RESTORED, "back", ())


def test_a_step_to_where_it_is_already_is_refused(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    with pytest.raises(ModelError, match="is paper already"):
        promote(book, "a")


def _lines(folder: Path) -> list[bytes]:
    return (folder / "lifecycle.jsonl").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("how", ["altered", "removed", "doubled", "swapped", "forged", "torn"])
def test_a_chain_that_was_meddled_with_is_refused(tmp_path: Path, how: str) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    retire(book, "a")
    promote(book, "b")
    one, two, three = _lines(tmp_path)
    forged = json.loads(two)
    forged["record"] |= {"after": "live", "model_id": "c"}
    lines = {
        "altered": [one.replace(b'"why":"passed"', b'"why":"bought"'), two, three],
        "removed": [one, three],
        "doubled": [one, two, two],
        "swapped": [two, one, three],
        "forged": [one, json.dumps(forged).encode() + b"\n"],
        "torn": [one, two[:40]],
    }[how]
    (tmp_path / "lifecycle.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(SecurityError):
        lifecycle(tmp_path).steps()
    with pytest.raises(SecurityError):  # nothing is built upon it either
        promote(lifecycle(tmp_path), "d")


@pytest.mark.parametrize("kept", [0, 1])
def test_a_demotion_that_was_cut_off_the_end_is_missed(tmp_path: Path, kept: int) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    retire(book, "a")
    (tmp_path / "lifecycle.jsonl").write_bytes(b"".join(_lines(tmp_path)[:kept]))
    with pytest.raises(SecurityError, match="the newest on record"):
        lifecycle(tmp_path).state("a", DIGEST)
    (tmp_path / "lifecycle.jsonl").unlink()
    with pytest.raises(SecurityError, match="the newest on record"):
        lifecycle(tmp_path).state("a", DIGEST)


def test_a_fall_cannot_be_undone_by_cutting_it_off_together_with_the_head(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    promote(book, "b")
    retire(book, "b")
    path = tmp_path / "lifecycle.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    (tmp_path / "lifecycle.jsonl.head").unlink()
    with pytest.raises(SecurityError, match=r"2 lines, and no lifecycle\.jsonl\.head"):
        lifecycle(tmp_path).steps()


def test_a_crash_between_a_line_and_its_head_is_no_break(tmp_path: Path) -> None:
    book = lifecycle(tmp_path)
    promote(book, "a")
    head = tmp_path / "lifecycle.jsonl.head"
    before = head.read_bytes()
    retire(book, "a")
    head.write_bytes(before)
    assert lifecycle(tmp_path).state("a", DIGEST) is ModelState.RETIRED
    promote(book, "b")
    assert json.loads(head.read_bytes())["number"] == 3


def test_a_stranger_s_promotion_is_refused(tmp_path: Path) -> None:
    stranger = Ed25519PrivateKey.generate()
    lifecycle(tmp_path).record(
        "a", DIGEST, "market", ModelState.PAPER, Cause.PROMOTED, "mine", (), stranger
    )
    with pytest.raises(SecurityError, match="a key nobody here trusts"):
        lifecycle(tmp_path).state("a", DIGEST)
