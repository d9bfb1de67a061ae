"""Commands that watch and check results: status, track, verify.

What they need is imported when they run, because every job parses the whole command line.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from pcft.artifacts import run_folders
from pcft.cli.commands import Group
from pcft.errors import PcftError, first_line
from pcft.monitoring import experiment_tracking

WIDE = 120  # characters of a line where there is no terminal


def add(command: Group) -> None:
    """Add the subcommands."""
    sub = command("status", _status, "Tell how far everything is; works while Snakemake does, and from other machines.", writes=False)
    sub.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="the file that Snakemake was given")
    sub.add_argument("--results", type=Path, default=Path("results"), help="folder of results")
    sub.add_argument("--json", action="store_true", help="for machines: every job with all that is known of it")
    sub.add_argument("--watch", type=float, metavar="SECONDS", help="repeat until everything is done")

    sub = command(
        "track", _track, "Copy what training said to trackers; compute jobs do so by themselves if the setting names any.", writes=False
    )
    sub.add_argument("runs", type=Path, nargs="+", help="output folders of warm-ups and runs, such as results/runs/wikipedia/fedavg/seed=1")
    sub.add_argument("--trackers", type=experiment_tracking.names, required=True, help="tensorboard, wandb, mlflow; several between commas")
    sub.add_argument("--since", type=float, help="follow the call that begins after this time until standard input ends")

    sub = command("verify", _verify, "Compare everything that was made with its manifests.", writes=False)
    sub.add_argument("--results", type=Path, default=Path("results"), help="folder of results")


def _verify(o: argparse.Namespace) -> None:
    if damaged := run_folders.damaged_folders(o.results):
        raise PcftError("\n".join(damaged))
    print(f"{o.results}: every file is the one that its manifest describes")


def _track(o: argparse.Namespace) -> None:
    experiment_tracking.require(o.trackers)
    for folder in o.runs:
        experiment_tracking.follow(folder, o.trackers, since=o.since)


def _status(o: argparse.Namespace) -> None:
    from pcft.config.validation.load import load
    from pcft.monitoring import status, status_table

    while True:
        config = load(_values(o.configfile), str(o.configfile))
        seen, locked = status.look(config, o.results), status.Snakemake.of(o.results).locked
        if o.watch and not o.json:
            print("\033[H\033[2J" if sys.stdout.isatty() else time.strftime("\n%F %T"))
        width = shutil.get_terminal_size((WIDE, 24)).columns
        print(status_table.as_json(seen, locked) if o.json else "\n".join(status_table.table(seen, locked, width)), flush=True)
        if not o.watch or all(one.state == "done" for one in seen):
            return
        time.sleep(o.watch)


def _values(file: Path) -> dict[str, Any]:
    """Return what a config file says, read as the workflow reads it."""
    from snakemake.common.configfile import load_configfile
    from snakemake_interface_common.exceptions import WorkflowError

    try:
        values: dict[str, Any] = load_configfile(file)
    except (WorkflowError, OSError) as error:
        raise PcftError(f"{file}: not a configuration ({first_line(error)}); give --configfile the file that Snakemake was given") from None
    return values
