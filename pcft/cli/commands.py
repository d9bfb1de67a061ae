"""Groups of subcommands: commands for people, and the steps that the workflow runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Run = Callable[[argparse.Namespace], None]
WIDTH = 14  # columns of a name in the list of subcommands


class Commands:
    """Subcommands of a parser, listed by group in its help."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser
        self._subparsers = parser.add_subparsers(required=True, metavar="COMMAND", help=argparse.SUPPRESS)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.usage, parser.epilog = "%(prog)s [-h] [--version] COMMAND ...", ""

    def group(self, title: str) -> Group:
        """Return a new group, which the help lists under `title`."""
        self._parser.epilog = f"{self._parser.epilog}\n{title}:\n"
        return Group(self, title)

    def add(self, name: str, does: str) -> argparse.ArgumentParser:
        """Add a subcommand to the last group."""
        self._parser.epilog = f"{self._parser.epilog}  {name:{WIDTH}}{does}\n"
        return self._subparsers.add_parser(name, description=does)


class Group:
    """One group of subcommands; calling it adds one."""

    def __init__(self, commands: Commands, title: str) -> None:
        self._commands, self.title = commands, title

    def __call__(self, name: str, run: Run, does: str, *, writes: bool = True) -> argparse.ArgumentParser:
        """Add the subcommand `name`, which calls `run` with its options; with `writes` it has the option --output."""
        sub = self._commands.add(name, does)
        sub.set_defaults(run=run)
        if writes:
            sub.add_argument("--output", type=Path, required=True, help="where the results go")
        return sub
