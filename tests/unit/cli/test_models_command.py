"""`adan-core models`: what it shows, what it refuses and why, and what a promotion asks for."""

import io
import json
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adan_core.cli.context import Context
from adan_core.cli.main import main
from adan_core.cli.unlock import unlock
from adan_core.data.store import CandleStore
from adan_core.domain.time import DAY, ManualClock
from adan_core.learning.bundle import seal_model
from adan_core.learning.lifecycle import ModelState
from adan_core.runtime.tenure import TENURE_KEY, Tenure
from adan_core.security.audit import verify_chain
from adan_core.security.operator_key import ENTRY
from adan_core.security.public_keys import write_public_key
from adan_core.security.sealing import seal
from adan_core.security.secret import Secret
from adan_core.trading.database import Durability
from adan_core.trading.journal import Journal
from tests.service_home import ServiceHome, path
from tests.unit.learning.test_registry import (
    FEATURES,
    KEY,
    NORMALISER,
    card,
    member_card,
    weights,
)

PASSPHRASE = "a passphrase for tests"  # noqa: S105

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.setattr("adan_core.cli.unlock.harden_process", lambda: None)

    def command(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(("models", *words))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def models(home: Path) -> ServiceHome:
    made = ServiceHome(home)
    made.seal("good", 1.0)
    return made


def resealed(folder: Path, key: Ed25519PrivateKey = KEY) -> None:
    seal(folder, key, {"kind": "model"})


def test_list_and_show_say_state_verdict_members_and_history(run: Run, models: ServiceHome) -> None:
    models.promote("good")
    code, out, _ = run("list", "--json")
    by_name = {one["model_id"]: one for one in json.loads(out)["models"]}
    assert code == 0
    assert (by_name["good"]["state"], by_name["good"]["verdict"]) == ("paper", "passed")
    assert {one["state"] for one in by_name.values() if one["shipped"]} == {"paper"} or len(
        by_name
    ) == 1
    assert "good" in run("list")[1]
    shown = json.loads(run("show", "good", "--json")[1])
    assert shown["card"]["members"][0]["name"] == "swing"
    assert shown["history"][0]["after"] == "paper"
    assert shown["gates"]["passed"]
    text = run("show", "good")[1]
    assert "member swing: PPO, horizon 24 candles" in text
    assert "candidate -> paper (promoted)" in text
    assert "beats flat after doubled fees" in text


def test_a_model_without_a_judgement_passes_no_gate(run: Run, models: ServiceHome) -> None:
    seal_model(models.locations.models, card("bare"), [weights()], NORMALISER, FEATURES, KEY)
    code, out, err = run("promote", "bare", "--confirm", "PROMOTE")
    assert code == 1
    assert out.count("no judgement of this model is kept") == 8
    assert "8 of 8 gates say no" in err
    assert models.book().state("bare") is ModelState.CANDIDATE
    assert "refused: seeds judged" in models.locations.audit_file.read_text()


def give_key_to_the_vault(models: ServiceHome) -> None:
    """Put the operator's key into the sealed file, as `train` would have."""
    empty = io.StringIO()
    context = Context(
        models.locations,
        ManualClock(1),
        io.StringIO(PASSPHRASE + "\n"),
        empty,
        empty,
        {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"},
        (),
    )
    vault = unlock(context, passphrase_stdin=True).vault
    vault.put(ENTRY, Secret(KEY.private_bytes_raw().hex()))


@pytest.mark.slow
def test_a_promotion_asks_for_the_word_and_the_key_and_is_kept(
    run: Run, models: ServiceHome
) -> None:
    give_key_to_the_vault(models)
    words = ("promote", "good", "--passphrase-stdin", "--json")
    code, _, err = run(*words, stdin=f"{PASSPHRASE}\npromote\n")
    assert (code, "exactly PROMOTE" in err) == (6, True)
    assert models.book().state("good") is ModelState.CANDIDATE
    code, out, _ = run(*words, stdin=f"{PASSPHRASE}\nPROMOTE\n")
    told = json.loads(out)
    assert (code, told["promoted"], told["to"], len(told["gates"])) == (0, True, "paper", 8)
    assert models.book().state("good") is ModelState.PAPER
    # Not live before it has decided long enough on paper.
    code, out, _ = run(*words, "--confirm", "PROMOTE", stdin=PASSPHRASE + "\n")
    assert code == 1
    (failed,) = [gate for gate in json.loads(out)["gates"] if not gate["passed"]]
    assert (failed["name"], failed["figure"], failed["limit"]) == (
        "days on paper", "0.0", "at least 14",
    )  # fmt: skip
    digest = models.book().registry.digest("good")
    models.locations.state.mkdir(parents=True, exist_ok=True)
    journal = Journal(models.locations.journal, "paper", ManualClock(1), Durability.OFF)
    journal.history.save(TENURE_KEY, Tenure(1, {digest: 15 * DAY}))
    journal.close()
    code, out, _ = run(*words, "--confirm", "PROMOTE", stdin=PASSPHRASE + "\n")
    assert (code, json.loads(out)["to"]) == (0, "live")
    assert [step.after for step in models.book().lifecycle.history("good", digest)] == [
        "paper", "live",
    ]  # fmt: skip
    trail = models.locations.audit_file.read_text()
    assert trail.count('"action":"model.promoted"') == 3
    assert verify_chain(models.locations.audit_file).intact


@pytest.mark.slow
def test_what_is_combined_says_of_what_and_follows_the_model_in_service(
    run: Run, models: ServiceHome
) -> None:
    give_key_to_the_vault(models)
    models.promote("good")
    names = {"fast": "scalper", "slow": "swing"}
    for model_id, name in names.items():
        made = replace(card(model_id), members=(member_card(name),))
        seal_model(models.locations.models, made, [weights()], NORMALISER, FEATURES, KEY)
    words = ("combine", "fast", "slow", "--name", "both", "--passphrase-stdin")
    code, out, err = run(*words, stdin=PASSPHRASE + "\n")
    assert (code, "sealed: scalper, swing" in out) == (0, True), err
    shown = run("show", "both")[1]
    for model_id in names:
        digest = models.book().registry.digest(model_id)
        assert f"combined of {model_id} (content {digest})" in shown
    assert "parent: good" in shown
    assert json.loads(run("show", "both", "--json")[1])["card"]["parents"][0]["model_id"] == "fast"


def test_a_roll_back_asks_for_the_word_and_names_who_follows(run: Run, models: ServiceHome) -> None:
    models.promote("good")
    models.seal("better", 0.0, parent="good")
    models.promote("better")
    code, _, err = run("rollback", "better", "--confirm", "rollback")
    assert (code, "exactly ROLLBACK" in err) == (6, True)
    code, out, _ = run("rollback", "better", stdin="ROLLBACK\n")
    assert (code, "good follows" in out) == (0, True)
    book = models.book()
    assert (book.state("better"), book.state("good")) == ("retired", "paper")
    code, out, _ = run("rollback", "good", "--confirm", "ROLLBACK", "--json")
    assert code == 0
    assert json.loads(out)["model_id"] == "good"
    assert run("rollback", "good", "--confirm", "ROLLBACK")[0] == 4
    assert models.locations.audit_file.read_text().count("model.rolled_back") == 2


Spoil = Callable[[Path], None]


def altered(folder: Path) -> None:
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def without_normaliser(folder: Path) -> None:
    (folder / "normaliser.json").unlink()
    resealed(folder)


def another_schema(folder: Path) -> None:
    (folder / "features.yaml").write_text(FEATURES.replace("[1, 1, 1]", "[2, 1, 1]"))
    resealed(folder)


def pickled(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(pickle.dumps({"weight": [1.0]}))


def unsigned(folder: Path) -> None:
    (folder / "manifest.sig").unlink()


def strange(folder: Path) -> None:
    resealed(folder, Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (altered, "altered after it was sealed"),
        (without_normaliser, "without its normaliser"),
        (another_schema, "reads state"),
        (pickled, "a pickle, which can run code"),
        (unsigned, "no manifest.sig"),
        (strange, "a key nobody here trusts"),
    ],
)
def test_what_may_not_load_is_refused_by_every_command_with_its_reason(
    run: Run, models: ServiceHome, spoil: Spoil, told: str
) -> None:
    spoil(models.locations.models / "good")
    code, out, _ = run("verify", "--json")
    checks = {one["what"]: one for one in json.loads(out)["checks"]}
    assert code == 4
    assert not checks["model good"]["sound"]
    assert told in checks["model good"]["reason"]
    assert checks["states"]["sound"]
    assert told in run("list")[1]
    for words in (("show", "good"), ("promote", "good"), ("export", "good", "out.tar")):
        code, _, err = run(*words)
        assert (code, told in err) == (4, True), words
    assert not Path("out.tar").exists()


def test_verify_says_that_all_is_well_and_what_is_not(run: Run, models: ServiceHome) -> None:
    models.promote("good")
    code, out, _ = run("verify", "good")
    assert code == 0
    assert "sound  model good: sealed by operator, every hash fits, it loads" in out
    assert "sound  judgements of good" in out
    assert "sound  states: 1 steps, an unbroken chain" in out
    (judgement,) = (models.locations.evaluations / "good").iterdir()
    judgement.write_bytes(judgement.read_bytes().replace(b'"seeds":5', b'"seeds":9'))
    code, out, _ = run("verify", "good")
    assert (code, "altered: its signature does not fit" in out) == (4, True)
    judgement.unlink()
    models.locations.lifecycle.write_bytes(b"{}\n")
    code, out, _ = run("verify", "good")
    assert (code, "REFUSED  states" in out) == (4, True)
    assert run("verify", "nobody")[0] == 4


def test_a_model_moves_in_a_file_to_whoever_trusts_its_signer(
    run: Run, models: ServiceHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "model.tar"
    assert run("export", "good", str(archive))[0] == 0
    assert run("export", "good", str(archive))[0] == 2  # never over a file without being told to
    assert run("export", "good", str(archive), "--replace")[0] == 0
    there = tmp_path / "there"
    monkeypatch.setenv("ADAN_HOME", str(there))
    write_public_key(
        there / "config" / "operator_public_key.json",
        Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
    )
    code, _, err = run("import", str(archive))
    assert code == 4
    assert "a key nobody here trusts" in err
    assert "`adan-core models import --help` says how" in err
    assert "trusted_keys/alice.json" in run("import", "--help")[1]
    write_public_key(
        there / "config" / "trusted_keys" / "alice.json", KEY.public_key().public_bytes_raw()
    )
    code, out, _ = run("import", str(archive), "--json")
    assert (code, json.loads(out)["signer"]) == (0, "alice")
    listed = json.loads(run("list", "--json")[1])["models"]
    (good,) = [one for one in listed if one["model_id"] == "good"]
    assert (good["state"], good["signer"]) == ("candidate", "alice")


def test_a_trusted_key_named_like_adan_s_own_is_refused(run: Run, models: ServiceHome) -> None:
    folder = models.locations.trusted_keys
    write_public_key(folder / "operator.json", b"\x01" * 32)
    code, _, err = run("list")
    assert (code, "named like a key of ADAN's own" in err) == (6, True)


def test_removal_asks_for_the_word_and_spares_what_is_in_service(
    run: Run, models: ServiceHome
) -> None:
    models.promote("good")
    code, _, err = run("remove", "good", "--confirm", "REMOVE")
    assert (code, "in service (paper)" in err) == (4, True)
    altered(models.locations.models / "good")  # a damaged bundle is not free for removal either
    assert run("remove", "good", "--confirm", "REMOVE")[0] == 4
    models.seal("other", 0.0)
    assert run("remove", "other", "--confirm", "yes")[0] == 6
    code, out, _ = run("remove", "other", "--confirm", "REMOVE", "--json")
    assert (code, json.loads(out)["removed"]) == (0, True)
    assert not (models.locations.models / "other").exists()
    assert not (models.locations.evaluations / "other").exists()
    shipped = [one.model_id for one in models.book().registry.listing() if one.shipped]
    for name in shipped:
        assert "came with ADAN" in run("remove", name, "--confirm", "REMOVE")[2]


def test_an_imported_twin_of_a_model_in_service_inherits_nothing(
    run: Run, models: ServiceHome
) -> None:
    models.promote("good")
    folder = models.locations.models / "good"
    path = folder / "model.json"
    twin = replace(card("good"), trained_on="something else")
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()
    seal_model(models.locations.models, twin, [weights()], NORMALISER, FEATURES, KEY)
    assert path.exists()
    assert models.book().state("good") is ModelState.CANDIDATE
    code, out, _ = run("list")
    assert (code, "a verdict belongs to one model" in out) == (0, False)
    assert "REFUSED" in out  # its judgement is of another content


def test_two_models_are_compared_on_the_same_candles_out_of_sample(
    run: Run, models: ServiceHome
) -> None:
    models.seal("calm", 0.0)
    market = path((2_000, 0.0002), (2_000, 0.0005))
    CandleStore(models.locations.datasets).write("rising", market, "test")
    code, out, _ = run("compare", "calm", "good", "--dataset", "rising", "--json")
    told = json.loads(out)
    calm, good = told["metrics"]
    assert (code, told["models"], told["candles"]) == (0, ["calm", "good"], 800)
    assert calm["log_return"] == 0.0
    assert told["difference"]["log_return"] == pytest.approx(good["log_return"])
    assert 0.0 < told["difference"]["low"] < good["log_return"] < told["difference"]["high"] * 1.01
    assert told["difference"]["probability"] == 1.0
    backwards = json.loads(run("compare", "good", "calm", "--dataset", "rising", "--json")[1])
    assert backwards["difference"]["log_return"] == -told["difference"]["log_return"]
    text = run("compare", "calm", "good", "--dataset", "rising")[1]
    assert "SIMULATED BTC/SIM 5m, 800 candles out of sample" in text
    assert "good minus calm: log-return +" in text
