"""What an iteration of training costs with more clients, larger batches, higher ranks and longer windows.

    python -m benchmarks.scaling [--rounds 3] [--models gpt2 smollm2] [--figure docs/images/scaling.png]

From four clients with four windows of 128 tokens and rank 4, one setting at a time; longer windows are fewer, so that the tokens stay the
same. Each point has a process of its own, in which iterations and large matrix products take turns: `of_matrix_products` is the share of
their rate, `ms_per_token` the time, `peak_mb` the most memory that the process held, all of it. The figure shows time relative to the first
point in units of the machine's matrix products, which a machine whose clock changes does not blur.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import torch

from benchmarks.common import alone, highest, in_turn, show, summary, write_model
from benchmarks.training import CASES, Case, matrix_product, stacked
from pcft.config.figures import Figures
from pcft.reporting.figures.style import COLOURS, rc_params

CPU = torch.device("cpu")
PRODUCTS = 20
AXES = {
    "clients": ("clients", [1, 2, 4, 8, 16]),
    "windows": ("windows a client", [1, 2, 4, 8, 16]),
    "rank": ("rank", [1, 4, 16, 64]),
    "length": ("tokens a window", [32, 64, 128, 256, 512]),
}
LOOKS = {"gpt2": ("GPT-2, dropouts", COLOURS["validation"], "o"), "smollm2": ("SmolLM2-135M", COLOURS["weights"], "s")}


@dataclass(frozen=True)
class Point:
    """What one case cost: seconds of iterations and of products that take so many FLOPs, bytes held."""

    case: Case
    times: dict[str, list[float]]
    flops: float
    peak: int

    @property
    def in_products(self) -> float:
        """Time a token, in the time that products take for a GFLOP."""
        return median(a / b for a, b in zip(self.times["iteration"], self.times["products"], strict=True)) * self.flops / self.case.tokens


def base_of(model: str) -> Case:
    """Return the case from which the axes start."""
    return replace(CASES[model], clients=4)


def points(model: str) -> dict[str, list[Case]]:
    """Return the cases along each axis."""
    base = base_of(model)

    def at(axis: str, value: int) -> Case:
        changed: dict[str, Any] = {axis: value} | ({"windows": base.windows * base.length // value} if axis == "length" else {})
        return replace(base, **changed)

    return {axis: [at(axis, value) for value in values] for axis, (_, values) in AXES.items()}


def measure(case: Case, folder: Path, rounds: int) -> Point:
    """Time a case in this process, which holds nothing else."""
    _, iterate = stacked(case, folder, CPU)
    products, flops = matrix_product(2048, CPU, PRODUCTS)
    times = in_turn({"iteration": iterate, "products": products}, rounds)
    return Point(case, times, flops, highest())


def report(point: Point) -> None:
    """Print a line."""
    case = point.case
    show(
        work=f"{case.name}, rank {case.rank}",
        ms_per_token=summary([1000 * t / case.tokens for t in point.times["iteration"]]),
        of_matrix_products=case.of_matrix_products(point.flops, point.times["products"], point.times["iteration"]),
        peak_mb=round(point.peak / 1e6),
    )


def draw(found: dict[Case, Point], models: Sequence[str], path: Path) -> None:
    """Draw time a token and memory along each axis."""
    look = Figures(width=6.75)
    with plt.rc_context(rc_params(look)):  # type: ignore[arg-type]  # the stubs want literal keys
        figure, axes = plt.subplots(2, len(AXES), sharex="col", sharey="row", figsize=(look.width, look.width * 0.5))
        for model in models:
            label, colour, marker = LOOKS[model]
            first = found[base_of(model)]
            for column, (axis, cases) in zip(axes.T, points(model).items(), strict=True):
                x = [getattr(case, axis) for case in cases]
                drawn: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3, "label": label}
                column[0].plot(x, [found[case].in_products / first.in_products for case in cases], **drawn)
                column[1].plot(x, [found[case].peak / 1e9 for case in cases], **drawn)
        for column, (name, values) in zip(axes.T, AXES.values(), strict=True):
            column[0].set_xscale("log", base=2)
            column[1].set_xticks(values, [str(value) for value in values])
            column[1].minorticks_off()
            column[1].set_xlabel(name)
        axes[0, 0].set_ylabel("time a token, relative")
        axes[1, 0].set_ylabel("peak memory (GB)")
        for axis in axes[:, 0]:
            axis.set_ylim(0, 1.05 * axis.get_ylim()[1])
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        figure.savefig(path, dpi=200, metadata={"Software": None})


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=list(LOOKS), choices=list(LOOKS))
    parser.add_argument("--figure", type=Path)
    o = parser.parse_args()
    found: dict[Case, Point] = {}
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        for model in o.models:
            folder = write_model(model, Path(name))
            for case in dict.fromkeys(case for cases in points(model).values() for case in cases):
                found[case] = alone(measure, case, folder, o.rounds)
                report(found[case])
    if o.figure:
        draw(found, o.models, o.figure)


if __name__ == "__main__":
    main()
