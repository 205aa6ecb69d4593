"""The numbers behind a figure, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

Value = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """A head and rows; numbers are not rounded, None is an empty field."""

    head: Sequence[str]
    rows: Sequence[Sequence[Value]]


def csv_text(table: Table) -> str:
    """The table as CSV with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.head)
    writer.writerows(["" if value is None else value for value in row] for row in table.rows)
    return buffer.getvalue()
