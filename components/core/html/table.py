"""Cells of an HTML table: values that know how they are written, for the macro `table` of `macros.html.j2`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from components.core.html.number_format import integer, significant

DASH = "–"


@dataclass(frozen=True)
class Cell:
    """A cell with more than a value.

    Attributes:
        text: Text of the cell.
        interval: A second, smaller line: an interval or an error.
        remark: A third line.
        marks: Warnings in red beside the text.
        is_number: Whether the cell is right-aligned, as numbers are.
        css_class: Classes of the cell beside that of a number.
    """

    text: str | Markup
    interval: str | Markup = ""
    remark: str | Markup = ""
    marks: Sequence[str] = ()
    is_number: bool = True
    css_class: str = ""


@dataclass(frozen=True)
class TableRow:
    """A row with a class or data attributes; plain rows are sequences of values.

    Attributes:
        cells: Values or cells.
        css_class: Classes of the row.
        data: Name -> value of the row's `data-` attributes.
    """

    cells: Sequence[Any]
    css_class: str = ""
    data: Sequence[tuple[str, str]] = ()


def as_cell(value: Any) -> Cell:
    """The value as it is written: whole numbers with commas, others to three digits, a dash for what is missing.

    Args:
        value: A `Cell`, text, `Markup`, a number, a truth value (yes or no) or None.
    """
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell(DASH)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", is_number=False)
    if isinstance(value, int):
        return Cell(integer(value))
    if isinstance(value, float):
        return Cell(significant(value))
    return Cell(value if isinstance(value, str) else str(value), is_number=False)


def as_rows(rows: Iterable[TableRow | Sequence[Any]]) -> list[TableRow]:
    """Rows whose cells are all of class `Cell`."""
    known = [row if isinstance(row, TableRow) else TableRow(row) for row in rows]
    return [replace(row, cells=[as_cell(value) for value in row.cells]) for row in known]


def columns_of_numbers(rows: Sequence[TableRow]) -> list[bool]:
    """For each column of `as_rows` whether its heading is right-aligned: it holds numbers and nothing else."""
    columns = zip(*(row.cells for row in rows), strict=True)
    return [all(cell.is_number for cell in column) and any(cell.text != DASH for cell in column) for column in columns]
