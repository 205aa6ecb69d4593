"""Names that others chose, within the command line's own lines and folders."""

from __future__ import annotations

import re

from rich.markup import escape

from orality.untrusted.escaping import for_terminal


def folder_name(name: str) -> str:
    """A recipe's name as that of one folder, which is neither hidden nor leads elsewhere."""
    return re.sub(r"[^\w.-]", "_", name)[:60].lstrip(".") or "run"


def shown(value: object) -> str:
    """Text within rich's markup."""
    return escape(for_terminal(str(value)))
