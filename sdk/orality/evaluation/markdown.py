"""Tables as Markdown (GitHub's dialect)."""

from __future__ import annotations

from orality.evaluation.tables.grid import Cell, Grid
from orality.untrusted.escaping import for_terminal


def markdown(grid: Grid) -> str:
    """The table, then its caption, notes, and a legend of the columns."""
    lines = [
        f"| {escape(grid.corner)} | " + " | ".join(escape(h.text) for h in grid.heads) + " |",
        "|:--|" + "--:|" * len(grid.heads),
    ]
    for block in grid.blocks:
        if block.heading:
            lines.append(f"| *{escape(block.heading)}* |" + " |" * len(grid.heads))
        for row in block.rows:
            cells = " | ".join(_cell(cell) for cell in row.cells)
            lines.append(f"| {escape(row.label)}{row.note} | {cells} |")
    if grid.caption:
        lines += ["", grid.caption]
    if grid.notes:
        lines += ["", *(f"{escape(note)}  " for note in grid.notes)]
    if grid.legend:
        lines += ["", *(f"- {line}" for line in grid.legend)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that neither ends a cell nor becomes markup, a link or an image."""
    flat = " ".join(for_terminal(text).split())
    for sign, written in (
        ("\\", "\\\\"),
        ("|", "\\|"),
        ("*", "\\*"),
        ("`", "\\`"),
        ("<", "&lt;"),
        ("[", "\\["),
        ("]", "\\]"),
        ("://", "&#58;//"),
        ("@", "&#64;"),
    ):
        flat = flat.replace(sign, written)
    return flat


def _cell(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.mark == "best" else cell.text  # Markdown cannot underline
    text += "\\*" if cell.star else ""
    text += f" ±{cell.spread}" if cell.spread else ""
    return text + (f" (sd {cell.sd})" if cell.sd else "")
