"""Write conda's list of the versions that constraints.txt pins: ``make environment.yml``."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_HEAD = """\
# Made by `make environment.yml` from constraints.txt; edit that one. A test compares the two.
#   conda env create -f environment.yml && conda activate trading_env
name: trading_env
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - make
  - pip
  - pip:
"""


def pins(constraints: str) -> list[str]:
    """Return the ``name==version`` lines of a constraints file."""
    lines = (line.partition("#")[0].strip() for line in constraints.splitlines())
    return [line for line in lines if line]


def environment(constraints: str) -> str:
    """Return the text of environment.yml for the text of constraints.txt."""
    packages = "".join(f"      - {pin}\n" for pin in pins(constraints))
    return _HEAD + packages + "      - --editable .\n"


if __name__ == "__main__":
    print(environment((ROOT / "constraints.txt").read_text(encoding="utf-8")), end="")
