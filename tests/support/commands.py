"""Commands on the pages."""

from __future__ import annotations

import re

from tests.support.pages import TOOLS, blocks, inline

BLOCKS = blocks()


OURS = [block for block in BLOCKS if block.by is None]


COMMANDS = [(str(block), line) for block in OURS if block.kind == "shell" for line in block.lines]
COMMANDS += [(page, code) for page, code in inline() if code.split()[:1] and code.split()[0] in TOOLS]
UNTRIED = {  # commands within a text that are no whole commands, or not ours
    "snakemake": "a name",
    "pcft": "a name",
    "python": "a name",
    "python src/main.py … --trust T --dataset D --seed S": "the paper's code",
    "python src/gen_dataset.py --dataset NAME": "the paper's code",
    "python ./src/gen_dataset.py <dataset_name>": "the paper's code",
    "snakemake --cores all TARGET": "a pattern",
    "snakemake --cores all results/runs/D/T/seed=S/manifest.json --configfile config/paper.yaml": "a pattern",
    "snakemake --cores all results/runs/.../metrics.parquet": "a pattern",
    "snakemake --sdm conda": "conda is not there",
    "snakemake --unlock": "has no dry run",
}


WORKFLOW = {line: re.sub(r" -n\b| --cores \w+", "", line) for _, line in COMMANDS if line.split()[0] == "snakemake" and line not in UNTRIED}


STEPS = sorted({line for _, line in COMMANDS if line.split()[0] != "snakemake" and line not in UNTRIED})


def shown_after(line: str) -> list[str]:
    """Return the lines that a page shows as printed by a command, if it does."""
    shown = [block.output for block in OURS if block.kind == "shell" and block.lines[-1] == line and block.output]
    return shown[0].splitlines() if shown else []
