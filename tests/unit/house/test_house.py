"""The house holds: contracts, no room without a door, no setting nobody reads, no typed-twice list."""

import ast
import logging.config
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml
from importlinter.cli import lint_imports

from adan_core.config.candle_checks import Treatments
from adan_core.config.policy import key_policies
from adan_core.config.risk_tiers import Tier
from adan_core.config.settings import RuleOverrides, Settings
from adan_core.data.findings import treatable
from tests.house.environment_file import ROOT, environment, pins

PACKAGES = ("adan_core", "adan_tui")
HEAVY = ("torch", "textual", "stable_baselines3", "ccxt", "polars", "numba", "gymnasium")
ENTRIES = (
    "adan_core.cli.main",
    "adan_core.__main__",
    "adan_tui.main",
    "adan_core.learning.gymnasium_environment",  # named to gymnasium.make, which imports it
)


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


@cache
def sources() -> dict[str, ast.Module]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def test_the_import_contracts_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    # It would silence every logger that is there already, for all tests after this one.
    monkeypatch.setattr(logging.config, "dictConfig", lambda _: None)
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_the_screen_reaches_the_core_through_one_door() -> None:
    allowed = re.compile(r"adan_core\.(runtime\.client|domain(\..+)?)|adan_core")
    for importer in graph().find_descendants("adan_tui"):
        for imported in graph().find_modules_directly_imported_by(importer):
            if imported.startswith("adan_core"):
                assert allowed.fullmatch(imported), f"{importer} imports {imported}"


@pytest.mark.slow
def test_every_module_can_be_reached_from_an_entry_point() -> None:
    named = {
        f"adan_core.cli.{node.value}"
        for node in ast.walk(sources()["adan_core.cli.main"])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    modules = {name for package in PACKAGES for name in graph().find_descendants(package)}
    entries = {name for name in ENTRIES if name in modules} | (named & modules)
    reached = set(entries)
    for entry in entries:
        reached |= graph().find_upstream_modules(entry)
    packages = {name for name in modules if graph().find_children(name)}
    assert sorted(modules - reached - packages) == []


def test_every_setting_is_read_somewhere() -> None:
    # In the settings themselves a property reads a key for others; vulture sees to it that some do.
    readers: list[ast.AST] = [
        node
        for node in ast.walk(sources()["adan_core.config.settings"])
        if isinstance(node, ast.FunctionDef)
        and any(
            isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list
        )
    ]
    readers += [tree for name, tree in sources().items() if name != "adan_core.config.settings"]
    read = {
        node.attr
        for reader in readers
        for node in ast.walk(reader)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    own = {"schema_version"}  # compared by the type itself
    keys = {key.rpartition(".")[2] for key in key_policies(Settings)} | set(Tier.model_fields)
    keys |= set(RuleOverrides.model_fields)
    # Treatments are read as a whole, by the code of each finding.
    assert set(Treatments.model_fields) == set(treatable())
    keys -= set(Treatments.model_fields)
    assert sorted(keys - read - own) == []


def test_no_environment_list_is_typed_by_hand() -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    written = (ROOT / "environment.yml").read_text()
    assert written == environment(constraints), "run `make environment.yml`"
    tree = yaml.safe_load(written)
    assert tree["name"] == "trading_env"
    listed = [item for item in tree["dependencies"][-1]["pip"] if "==" in item]
    assert listed == pins(constraints)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in listed)


def test_every_direct_dependency_is_pinned() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    normal = {
        re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower()
        for pin in pins((ROOT / "constraints.txt").read_text())
    }
    lists = re.findall(r"^(?:dependencies|dev) = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert len(lists) == 2
    for name in re.findall(r'^ +"([\w.-]+)"', "".join(lists), re.MULTILINE):
        assert re.sub(r"[-_.]+", "-", name).lower() in normal, name


@pytest.mark.parametrize("words", [["--help"], ["status"], ["halt"], ["kill"]])
def test_short_commands_import_nothing_heavy(words: list[str], home: Path) -> None:
    program = (
        "import sys\n"
        "from adan_core.cli.main import main\n"
        f"try:\n    main({words!r})\n"
        "except SystemExit:\n    pass\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & sys.modules.keys()))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "heavy: []" in answer.stdout, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


def test_no_module_has_outgrown_its_subject() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text().count("\n")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > 400} == {}
