"""The command `orality`: parses and calls, no logic."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import warnings


def main() -> None:
    """Run the command line; every expected failure ends in one message and a non-zero code."""
    from rich.console import Console
    from rich.logging import RichHandler

    from orality.cli.commands import app
    from orality.errors import OralityError
    from orality.untrusted.escaping import for_terminal

    # Libraries draw bars and warnings of their own across ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    # Threads that spin while they wait bring a busy machine to a halt.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):  # a terminal of any encoding shows what it can
        if isinstance(stream, io.TextIOWrapper):
            # Where it is not UTF-8, who reads a pipe seldom knows in what it was written.
            plain = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(encoding=None if plain else "ascii", errors="backslashreplace")
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_time=False, show_path=False)],
    )
    logging.getLogger("orality").setLevel(logging.INFO)
    try:
        app()
    except OralityError as error:
        console.print("[bold red]error:[/] ", end="")
        console.print(for_terminal(str(error)), markup=False, highlight=False)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != 130:  # how typer tells of Ctrl-C
            raise
        console.print("stopped; what was finished is kept: the same command goes on from there")
        sys.exit(130)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        console.print("[bold red]error:[/] the disk is full; what was finished is kept: free some")
        console.print("space and run the same command again")
        sys.exit(1)
