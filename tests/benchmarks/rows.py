"""The form every measured figure is reported in."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Reference:
    """Something else that does the same work, measured in the same run, in the row's unit.

    ``recorded``: it could not be measured in this run; the value was reached on another machine, so
    that no ratio is taken.
    """

    name: str
    value: float
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, what it is compared with, and what it has to be.

    ``target`` bounds ``value`` from above if ``smaller_is_better``, else from below; None: no
    target was set, the figure is only watched.
    """

    name: str
    value: float
    unit: str
    reference: Reference | None
    target: float | None
    smaller_is_better: bool = True

    @property
    def ratio(self) -> float | None:
        """The value as a multiple of the reference's; None if that was not measured beside it."""
        if self.reference is None or self.reference.recorded:
            return None
        return self.value / self.reference.value

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.smaller_is_better else self.value >= self.target


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows as one JSON document."""
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "rows": [asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows],
        },
        indent=2,
    )


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows for a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="ADAN, measured")
    for name in ("name", "value", "unit", "reference", "ratio", "target", "met"):
        table.add_column(name, justify="right" if name in {"value", "ratio", "target"} else "left")
    for row in rows:
        reference = row.reference
        bound = "<=" if row.smaller_is_better else ">="
        table.add_row(
            row.name,
            f"{row.value:,.4g}",
            row.unit,
            "N/A" if reference is None else f"{reference.name}: {reference.value:,.4g}",
            "N/A" if row.ratio is None else f"{row.ratio:.3g}",
            "N/A" if row.target is None else f"{bound} {row.target:,.4g}",
            {True: "yes", False: "NO", None: "N/A"}[row.met],
        )
    Console().print(table)
