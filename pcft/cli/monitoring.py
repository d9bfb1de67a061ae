"""Commands that monitor and verify results: status, track, verify.

Their modules are imported when they run, because every job parses the whole command line.
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

WIDE = 120  # characters per line where there is no terminal


def add(command: Group) -> None:
    """Add the subcommands."""
    sub = command(
        "status",
        _status,
        "Show which jobs are done, running, waiting or failed; works while Snakemake runs.",
        writes=False,
    )
    sub.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="configuration file of the workflow")
    sub.add_argument("--results", type=Path, default=Path("results"), help="folder of results")
    sub.add_argument("--json", action="store_true", help="print the status of every job as JSON")
    sub.add_argument("--watch", type=float, metavar="SECONDS", help="repeat every SECONDS until all jobs are done")

    sub = command(
        "track",
        _track,
        "Copy journals of training to trackers, as jobs do if the setting `trackers` names any.",
        writes=False,
    )
    sub.add_argument("runs", type=Path, nargs="+", help="output folders of warm-ups and runs, such as results/runs/wikipedia/fedavg/seed=1")
    sub.add_argument(
        "--trackers", type=experiment_tracking.parse_names, required=True, help="any of tensorboard, wandb, mlflow, separated by commas"
    )
    sub.add_argument(
        "--since", type=float, help="follow the call that begins after this time (seconds since 1970) until standard input ends"
    )

    sub = command("verify", _verify, "Compare all results with their manifests.", writes=False)
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
    from pcft.monitoring.snakemake_notes import SnakemakeNotes
    from pcft.monitoring.status import workflow_status
    from pcft.monitoring.status_table import table, to_json

    while True:
        config = load(_values(o.configfile), str(o.configfile))
        jobs, locked = workflow_status(config, o.results), SnakemakeNotes.read(o.results).locked
        if o.watch and not o.json:
            print("\033[H\033[2J" if sys.stdout.isatty() else time.strftime("\n%F %T"))
        width = shutil.get_terminal_size((WIDE, 24)).columns
        print(to_json(jobs, locked) if o.json else "\n".join(table(jobs, locked, width)), flush=True)
        if not o.watch or all(one.state == "done" for one in jobs):
            return
        time.sleep(o.watch)


def _values(file: Path) -> dict[str, Any]:
    """Return the content of a config file, read as Snakemake reads it."""
    from snakemake.common.configfile import load_configfile
    from snakemake_interface_common.exceptions import WorkflowError

    try:
        values: dict[str, Any] = load_configfile(file)
    except (WorkflowError, OSError) as error:
        raise PcftError(f"{file}: not a configuration ({first_line(error)}); pass the file of the workflow by --configfile") from None
    return values
