"""Tables as LaTeX, for the package booktabs."""

from __future__ import annotations

from itertools import accumulate

from orality.evaluation.tables.grid import Cell, Grid

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "[": "{[}", "]": "{]}",  # after a line's end they would be its argument
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "−": r"$-$", "–": "--", "—": "---",
    "†": r"$^{\dagger}$", "*": r"$^{*}$", "≥": r"$\geq$", "≤": r"$\leq$", "×": r"$\times$",
    "’": "'", "\u00a0": "~",
}  # fmt: skip


def latex(grid: Grid) -> str:
    """A tabular: best bold, second underlined, families over their columns, headings in italics."""
    width = len(grid.heads)
    lines = [r"\begin{tabular}{l" + "r" * width + "}", r"\toprule", *_family_lines(grid)]
    heads = [escape(grid.corner), *(escape(head.text) for head in grid.heads)]
    lines.append(" & ".join(heads) + r" \\")
    for block in grid.blocks:
        lines.append(r"\midrule")
        if block.heading:
            lines.append(
                rf"\multicolumn{{{width + 1}}}{{l}}{{\textit{{{escape(block.heading)}}}}} \\"
            )
        for row in block.rows:
            label = escape(row.label) + escape(row.note)
            lines.append(" & ".join([label, *map(_cell, row.cells)]) + r" \\")
    lines.append(r"\bottomrule")
    for note in grid.notes:
        lines.append(rf"\multicolumn{{{width + 1}}}{{l}}{{\footnotesize {escape(note)}}} \\")
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def escape(text: str) -> str:
    """Text as LaTeX prints it; line breaks and control characters become spaces."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(_SPECIAL.get(c, c) for c in flat)


def _family_lines(grid: Grid) -> list[str]:
    families = grid.families
    if not any(name for name, _ in families):
        return []
    ends = list(accumulate((span for _, span in families), initial=1))
    cells = [
        rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}" if name else " & ".join([""] * span)
        for name, span in families
    ]
    rules = [
        rf"\cmidrule(lr){{{start + 1}-{start + span}}}"
        for (name, span), start in zip(families, ends, strict=False)
        if name
    ]
    return [" & ".join(["", *cells]) + r" \\", " ".join(rules)]


def _cell(cell: Cell) -> str:
    marks = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}
    text = marks[cell.mark] % escape(cell.text) + (r"$^{*}$" if cell.star else "")
    text += rf" $\pm${escape(cell.spread)}" if cell.spread else ""
    return text + (rf" (sd {escape(cell.sd)})" if cell.sd else "")
