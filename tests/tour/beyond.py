"""Commands that README names in passing or not at all: what the tour adds to its own coverage."""

import json
import signal
from collections.abc import Callable

from adan_core.indicators.table import INDICATORS
from tests.tour.commands import MINE, end, put_down, start_core, start_sandbox
from tests.tour.place import PASSPHRASE, Place
from tests.tour.terminal import Terminal

_CORE = "adan-core"
# What an indicator's parameters are where 14 would not do.
_PARAMETERS = {
    "fast": "12",
    "slow": "26",
    "signal": "9",
    "smoothing": "3",
    "short": "12",
    "long": "96",
    "acceleration": "0.02",
    "maximum": "0.2",
    "deviations": "2.0",
}
_KEY = "a-key-for-the-tour\na-secret-for-the-tour"


def acts() -> tuple[tuple[str, Callable[[Place], None]], ...]:
    """Return the further acts."""
    return (
        ("help, and answers as JSON", _answers),
        ("files of other kinds", _files),
        ("rough candles: compared, exported, looked into, removed", _rough),
        ("downloads that go on, and a paper account on an exchange's candles", _exchange),
        ("keys in a sealed file", _keys),
        ("prompts and a progress bar on a terminal", _prompts),
        ("training that is stopped, resumed, refused", _training),
        ("kill --flatten, SIGUSR1, kills without a core", _kills),
        ("mistakes", _mistakes),
    )


def kernels(place: Place) -> None:
    """Take README's path once more, small, with every kernel as plain Python: then it is traced."""
    place.run(_CORE, "data", "sample", "--rows", "3000", "--timeframe", "1h", "--name", "few")
    words = ("train", "--dataset", "few", "--steps", "8192", "--passphrase-stdin")
    place.run(_CORE, *words, typed=f"{PASSPHRASE}\n")
    place.run(_CORE, "evaluate", "--dataset", "few")
    place.run(_CORE, "backtest", "--strategy", "sma", "--dataset", "few")
    place.run(_CORE, "run", "--mode", "replay", "--dataset", "few")
    _write_features(place, "every.yaml")
    seen = ("data", "features", "few", "--features", "every.yaml", "--output", "every.parquet")
    place.run(_CORE, *seen, shows=(f"of {len(INDICATORS) + 2} columns",))


def _write_features(place: Place, file: str, external: str = "") -> None:
    """Write a feature set of every indicator there is, as an operator's own."""
    lines = [
        "schema_version: 2",
        "name: every",
        "windows: [1, 1, 1]",
        *external.splitlines(),
        "features:",
    ]
    for name, indicator in INDICATORS.items():
        rungs = "0, 1, 2" if name == "log_return" else "0"  # each timeframe needs one at least
        given = ", ".join(_PARAMETERS.get(one, "14") for one in indicator.parameters)
        lines.append(
            f"  - {{name: {name}, function: {name}, parameters: [{given}], timeframes: [{rungs}]}}"
        )
    (place.desk / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _answers(place: Place) -> None:
    names = "run status halt kill rearm train evaluate backtest data models keys config doctor"
    for name in names.split():
        place.run(_CORE, name, "--help", shows=("example", "usage: adan-core"))
    place.run(_CORE, "--help", shows=("COMMAND", "exit codes"))
    place.run(_CORE, "--version", shows=("ADAN ",))
    place.run("adan-tui", "--help", shows=("examples", "F12"))
    place.run("adan-tui", "--version")
    place.run("adan-tui", code=2, shows=("use adan-core instead",))
    version = ('"schema_version":',)
    for words in (
        "doctor --json",
        "data list --json",
        "data check practice --json",
        "models list --json",
        "evaluate --dataset practice --json",
        "backtest --dataset practice --json --curve",
        "backtest --strategy flat --json",
        "run --mode replay --dataset practice --json",
        "config show --json",
        "config check --json",
        "config locations --json",
        "status --json",
    ):
        place.run(_CORE, *words.split(), shows=version)
    place.run(_CORE, "backtest", "--strategy", "buy-and-hold", shows=("profit factor", "N/A"))
    place.run(_CORE, "backtest", "--dataset", "btc", shows=("this judges nothing",))
    place.run(_CORE, "config", "check")
    place.run(_CORE, "config", "locations", shows=("kill_latch",))
    listed = place.run(_CORE, "models", "list").splitlines()
    shipped = next(line.split()[0] for line in listed if " shipped " in line)
    place.run(_CORE, "models", "show", shipped, shows=("signed by shipped",))
    place.run(_CORE, "models", "show", shipped, "--json", shows=version)


def _files(place: Place) -> None:
    for kind in ("csv", "csv.gz", "parquet", "feather"):
        file = f"made.{kind}"
        sample = ("data", "sample", "--rows", "500", "--timeframe", "1h", "--output", file)
        place.run(_CORE, *sample, shows=("SIMULATED",))
        place.run(_CORE, "data", "check", file, shows=("it can be imported",))
        name = kind.replace(".", "-")
        place.run(_CORE, "data", "import", file, "--name", name, shows=("SIMULATED",))
    for process in ("mean-reverting", "drift", "random-walk"):
        place.run(_CORE, "data", "sample", "--process", process, shows=("SIMULATED",))
    rows = [line.split(",") for line in (place.desk / MINE).read_text().splitlines()[:300]]
    named = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    (place.desk / "made.json").write_text(json.dumps(named), encoding="utf-8")
    told = ("--symbol", "BTC/USDT", "--timeframe", "1h", "--name", "json")
    place.run(_CORE, "data", "import", "made.json", *told, shows=("299 candles",))
    place.run(_CORE, "data", "import", MINE, code=3, shows=("state it with --symbol",))
    odd = (place.desk / MINE).read_text(encoding="utf-8").splitlines()[:400]
    del odd[200:203]
    odd[100] = odd[100].replace(",", ",-", 1)
    (place.desk / "odd.csv").write_text("\n".join(odd) + "\n", encoding="utf-8")
    reading = ("odd.csv", "--symbol", "BTC/USDT", "--timeframe", "1h")
    place.run(_CORE, "data", "check", *reading, code=3, shows=("gap", "not_a_price", "refused"))
    treated = ("--on", "not_a_price=mark", "--on", "ohlc=mark")
    place.run(
        _CORE,
        "data",
        "import",
        *reading,
        *treated,
        shows=("missing candles", "stored BTC-USDT-1h: BTC/USDT"),
    )


def _rough(place: Place) -> None:
    version = ('"schema_version":',)
    sample = "data sample --rows 3000 --timeframe 1h --gaps 3 --outages 1 --jumps 2 --name rough"
    place.run(_CORE, *sample.split(), "--labels", "labels.parquet", shows=("100 missing",))
    shows = ("deviation [warn]", "outage [warn]", "missing [warn]", "candles in common")
    place.run(_CORE, *["data", "check", "rough", "--against", "practice"], shows=shows)
    month = "--since 2024-02-01 --until 2024-03-01"
    export = f"data export rough february.parquet {month} --json"
    place.run(_CORE, *export.split(), shows=version)
    same = ("690 candles in common", "it can be imported")
    place.run(_CORE, *["data", "check", "february.parquet", "--against", "rough"], shows=same)
    place.run(_CORE, *["data", "check", "practice", "--fresh", "--json"], shows=version)
    place.run(_CORE, *f"data features rough --output rough.parquet {month} --json".split())
    leakcheck = "data leakcheck --dataset made.json --symbol BTC/USDT"
    place.run(_CORE, *leakcheck.split(), code=2, shows=("--symbol",))
    leakcheck = "data leakcheck --dataset rough --instants 4 --json"
    place.run(_CORE, *leakcheck.split(), shows=version)
    _external(place)
    place.run(_CORE, *["data", "remove", "rough"], code=2, shows=("--yes",))
    place.run(_CORE, *["data", "remove", "rough", "--yes", "--json"], shows=('"removed":"rough"',))
    place.run(_CORE, *["data", "cache", "--json"], shows=version)
    place.run(_CORE, *["data", "cache", "--clear"], shows=("removed", "0 entries"))


def _external(place: Place) -> None:
    """Give the agent a column of the operator's own, with times of its own."""
    stamps = [f"2024-{month:02}-01T00:00:00Z,0.{month}" for month in range(1, 13)]
    file = place.desk / "mood.csv"
    file.write_text("\n".join(["time,mood", *stamps]) + "\n", encoding="utf-8")
    _write_features(place, "mood.yaml", "external: [{name: mood, max_age: 24h}]")
    setting = f"external={{mood: {file}}}"
    seen = ("data", "features", "rough", "--features", "mood.yaml", "--output", "mood.parquet")
    place.run(_CORE, "--set", setting, *seen, shows=(f"of {len(INDICATORS) + 4} columns",))
    check = ("data", "leakcheck", "--dataset", "rough", "--features", "mood.yaml")
    place.run(_CORE, "--set", setting, *check, "--instants", "4")


def _exchange(place: Place) -> None:
    shown = place.run(_CORE, "models", "list").splitlines()
    shipped = next(line.split()[0] for line in shown if " shipped " in line)
    paced = ("--port", "9141", "--pace", "1", "--fault", "repeated=3", "--fault", "disconnected=20")
    sandbox = start_sandbox(place, *paced)
    try:
        for venue in ("binance", "kraken"):
            words = f"data download BTC/SIM ETH/SIM --exchange {venue} --timeframe 5m".split()
            words += ["--base-url", "http://127.0.0.1:9141"]
            code = 3 if venue == "kraken" else 0  # it keeps its newest 720 candles only
            place.run(_CORE, *words, "--since", "2024-01-01", code=code, shows=("stored test-",))
            place.run(_CORE, *words, "--json", shows=('"schema_version":',))
        market = (
            *("market.source=exchange", "exchange.name=binance", "market.symbols=[BTC/SIM]"),
            *("exchange.base_url=http://127.0.0.1:9141", "market.timeframe=5m"),
            *("exchange.second=kraken", "exchange.second_base_url=http://127.0.0.1:9141"),
        )
        told = [word for setting in market for word in ("--set", setting)]
        core = start_core(place, *told, "--model", shipped)
        try:
            place.run(_CORE, "status", shows=("SIMULATED TEST VENUE", "stream: "))
            place.run(_CORE, "status", "--json", shows=('"stream":{',))
            end(place, core)
        finally:
            put_down(core)
        end(place, sandbox)
    finally:
        put_down(sandbox)


def _keys(place: Place) -> None:
    words = ("keys", "set", "kraken", "--sealed-file")
    place.run(_CORE, "keys", "--help", shows=("set",))
    place.run(
        _CORE,
        *words,
        "--passphrase-stdin",
        typed=f"{PASSPHRASE}\na-key-for-the-tour\na-secret-for-the-tour\n",
    )
    place.run(_CORE, "keys", "list", "--passphrase-stdin", typed=f"{PASSPHRASE}\n")
    place.run(_CORE, "keys", "list", "--json", shows=('"schema_version":',))
    place.run(_CORE, "keys", "list", "--passphrase-stdin", typed="a wrong passphrase\n", code=6)
    remove = ("keys", "remove", "kraken", "--passphrase-stdin")
    place.run(_CORE, *remove, typed=f"{PASSPHRASE}\n")


def _prompts(place: Place) -> None:
    # Without the credential the passphrase is asked for, hidden.
    bare = ("env", "-u", "CREDENTIALS_DIRECTORY", _CORE)
    with Terminal(place, (*bare, "keys", "set", "kraken", "--sealed-file")) as screen:
        for asked, typed in (
            ("API key", "a-key-for-the-tour"),
            ("[Ss]ecret", "a-secret-for-the-tour"),
            ("assphrase", ""),  # the exchange's; it has none
            ("Passphrase of", PASSPHRASE),
        ):
            screen.see(asked, within=20.0)
            screen.type(typed)
            screen.press("Enter")
        screen.see("The key for kraken")
        screen.see_gone("a-secret")
        screen.ends(0)
    place.run(_CORE, "keys", "remove", "kraken", shows=("is gone from the",))
    words = (_CORE, "train", "--dataset", "practice", "--steps", "50000000")
    with Terminal(place, words) as screen:
        screen.see("steps/s", within=90.0)
        screen.press("C-c")
        screen.ends(130)
        screen.see("--resume")


def _training(place: Place) -> None:
    seal = "--passphrase-stdin"
    timed = ("train", "--dataset", "practice", "--steps", "9000000", "--timeout", "12", seal)
    place.run(_CORE, *timed, typed=f"{PASSPHRASE}\n", code=124, shows=("--resume",))
    again = ("train", "--resume", "latest", "--timeout", "12", seal, "--json")
    place.run(_CORE, *again, typed=f"{PASSPHRASE}\n", code=124, shows=("schema_version",))
    short = ("train", "--dataset", "practice", "--steps", "8192", "--seal-later")
    shows = ("learnt, not sealed yet", "adan-core train --resume")
    place.run("env", "-u", "CREDENTIALS_DIRECTORY", _CORE, *short, shows=shows)
    place.run(_CORE, "train", "--resume", "latest", shows=("is sealed",))


def _kills(place: Place) -> None:
    core = start_core(place, "--pace", "0.05")
    try:
        place.run(_CORE, "kill", "--flatten", typed="flatten\n", code=6, shows=("exactly",))
        shows = ("FLATTEN confirmed", "0 positions left")
        place.run(_CORE, "kill", "--flatten", typed="FLATTEN\n", shows=shows)
        place.run(_CORE, "rearm", "--confirm", "REARM")
        core.send_signal(signal.SIGUSR1)
        place.run(_CORE, "halt", "--json", shows=('"phase":"confirmed"',))
        place.run(_CORE, "status", shows=("HALTED",))
        end(place, core, signal.SIGTERM)
    finally:
        put_down(core)
    place.run(_CORE, "status", code=9, shows=("no core is running here", "kill latch: HALT"))
    place.run(_CORE, "rearm", typed="REARM\n", shows=("latch removed",))
    place.run(_CORE, "halt", "--reason", "away", shows=("latched on disk",))
    place.run(_CORE, "rearm", code=2, shows=("no typed confirmation",))
    place.run(_CORE, "rearm", "--confirm", "REARM")
    place.run(_CORE, "status", code=9, shows=("kill latch: off", "account at rest"))


def _mistakes(place: Place) -> None:
    place.run(_CORE, code=2)
    place.run(_CORE, "fly", code=2, shows=("Try: adan-core --help",))
    place.run(_CORE, "run", "--fast", code=2, shows=("--fast",))
    place.run(_CORE, "run", "--mode", "replay", code=2, shows=("data list",))
    place.run(_CORE, "evaluate", "--dataset", "nowhere", code=3, shows=("nowhere",))
    place.run(_CORE, "models", "show", "nobody", code=4, shows=("nobody",))
    place.run(_CORE, "--set", "market.sed=1", "config", "show", code=2, shows=("market.sed",))
    place.run("adan-tui", "--mode", "replay", code=2, shows=("--dataset",))
    (place.desk / "bad.yaml").write_text("schema_version: 1\nrisk:\n  stop_loss: 2\n")
    place.run(_CORE, "config", "check", "bad.yaml", code=2, shows=("risk.stop_loss",))
