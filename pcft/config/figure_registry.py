"""Registry of figures: the function that draws each, what it shows, its caption, its category in the report, and its options.

To add a figure, write the function and add an entry here. Standard library only, because parsing the Snakefile imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pcft.errors import PcftError

Shows = Literal["experiment", "experiments", "corpus"]
ANY_SETTING = "a setting"  # an axis that shows whichever setting a declaration names
RESULTS, TRUST, COSTS, SWEEPS, CORPORA = "1 Results", "2 Trust", "3 Costs", "4 Sweeps", "5 Corpora"  # categories of the report


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The parts of a figure that its caption can name.

    Attributes:
        experiments: names of the experiments shown; none for a figure of a corpus.
        x, y: quantities on the axes.
        baseline: strategy that the others are compared with.
    """

    experiments: tuple[str, ...] = ()
    x: str = ""
    y: str = ""
    baseline: str | None = None


@dataclass(frozen=True, kw_only=True)
class FigureKind:
    """A figure that can be drawn.

    Attributes:
        function: function that draws it, as module:name. Its arguments are the records (`FigureData`) of an experiment and the style
            (`Figures`); for several experiments the job, a mapping from experiment to records, and the style; for a corpus its manifest and
            the style.
        shows: one experiment, several experiments, or a corpus.
        caption: reStructuredText in which {experiment}, {x}, {y} and {baseline} stand for those of the figure, or a function that returns
            such text.
        category: place in the report.
        study: settings of strategies. The figure is drawn only for experiments in which strategies with the same source of trust differ in
            them; without any, for every experiment.
        x, y: quantities that its axes can show, the default first; none where there is no choice.
        options: further settings that a declaration can make: "baseline", "iterations".
        baseline: strategy that the others are compared with where a declaration names none.
    """

    function: str
    shows: Shows = "experiment"
    caption: str | Callable[[Subject], str]
    category: str = RESULTS
    study: tuple[str, ...] = ()
    x: tuple[str, ...] = ()
    y: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    baseline: str | None = None

    @property
    def module(self) -> str:
        """Module of the function."""
        return self.function.partition(":")[0]

    def caption_of(self, subject: Subject) -> str:
        """Return the caption for these experiments and axes, as reStructuredText."""
        if callable(self.caption):
            return self.caption(subject)
        (experiment, *_) = subject.experiments or ("",)
        return self.caption.format(experiment=experiment, x=subject.x, y=subject.y, baseline=subject.baseline)


INTERVALS = "means over clients and seeds, with 95 % intervals over seeds (Student's t)"
TOP_EDGE = "Triangles at the top edge mark perplexities above ten times the lowest. "
LOWER_EDGE = (
    "Triangles at the lower edge mark failed runs: losses of more than ten times the highest gain and more than ten times the median of "
    "all gains and losses. "
)
UNPOISONED = "Poisoned clients are left out."


def _curves(subject: Subject) -> str:
    parts = [
        f"Test {subject.y} during training" + (f", minus that of *{subject.baseline}*" if subject.baseline else "") + ", by strategy and "
        "experiment: means over clients and seeds, in bands from the lowest to the highest seed."
    ]
    if subject.x == "megabytes":
        parts.append("Megabytes are those that a client receives from its peers directly, without a server.")
    if not subject.baseline and subject.y != "accuracy":
        limit = "more than one nat above the loss" if subject.y == "loss" else "more than twice the perplexity"
        parts.append(f"Triangles at the top edge mark failed runs: {limit} before training.")
    return " ".join(parts)


FIGURES: dict[str, FigureKind] = {
    "improvement": FigureKind(
        function="pcft.reporting.figures.comparisons:improvement",
        shows="experiments",
        caption=(
            "Reduction of the test {y} after the last iteration relative to *{baseline}* (relative to the model before training where no "
            "experiment has it), by strategy and experiment: " + INTERVALS + ", differences paired by seed and client. Experiments without "
            "the baseline are left out if others have it. " + LOWER_EDGE + UNPOISONED
        ),
        x=("strategy", "experiment"),
        y=("loss", "perplexity"),
        options=("baseline",),
        baseline="local",
    ),
    "curves": FigureKind(
        function="pcft.reporting.figures.comparisons:curves",
        shows="experiments",
        caption=_curves,
        x=("iteration", "tokens", "megabytes"),
        y=("loss", "perplexity", "accuracy"),
        options=("baseline",),
    ),
    "sweep": FigureKind(
        function="pcft.reporting.figures.sweep:sweep",
        shows="experiments",
        caption=(
            "Test perplexity after the last iteration for each value of *{x}*, by strategy: " + INTERVALS + ". Numeric values are placed "
            "to scale. " + TOP_EDGE + "Clients that are poisoned in one of the experiments are left out in all of them; the lower panel "
            "shows the trust that the others place in one of them, averaged over all exchanges in which they took part."
        ),
        category=SWEEPS,
        x=(ANY_SETTING,),
    ),
    "learning-curves": FigureKind(
        function="pcft.reporting.figures.losses:learning_curves",
        caption=(
            "Test loss (nats per token, means over clients) of experiment *{experiment}* by strategy, and its difference from *local* at "
            "the same iteration. With several seeds, lines are means over seeds and bands reach from the lowest to the highest seed. All "
            "strategies share the iterations of a seed before the first exchange. Triangles at the top edge mark losses more than one nat "
            "above the loss before training; in the differences, more than ten times the largest gain. " + UNPOISONED
        ),
    ),
    "final-perplexity": FigureKind(
        function="pcft.reporting.figures.losses:final_perplexity",
        caption=(
            "Test perplexity after the last iteration of experiment *{experiment}*: one point per client and seed, bars at the means. The "
            "shape of a point shows the largest category of the client's text. " + TOP_EDGE + UNPOISONED
        ),
    ),
    "gains": FigureKind(
        function="pcft.reporting.figures.gains:client_gains",
        caption=(
            "Gain of each client in experiment *{experiment}*: reduction of its test loss after the last iteration relative to *local* "
            "(without *local*, relative to the model before training), one point per client and seed, bars at the means over seeds. "
            "Clients are sorted by the largest category of their text, and within a category by their mean gain over all strategies. "
            + LOWER_EDGE
            + UNPOISONED
        ),
        baseline="local",
    ),
    "costs": FigureKind(
        function="pcft.reporting.figures.costs:costs",
        caption=(
            "Test perplexity of experiment *{experiment}* from the first exchange on, against the costs of an average client so far: "
            "megabytes received (peer to peer; thin lines: from a server that sets trust and averages), and tokens passed through "
            "the model for training and trust. " + TOP_EDGE + UNPOISONED
        ),
        category=COSTS,
    ),
    "time": FigureKind(
        function="pcft.reporting.figures.costs:time_spent",
        caption=(
            "Time of the runs of experiment *{experiment}* by phase, means over seeds; numbers are totals of a run. All strategies share "
            "the iterations before the first exchange (*warmup*)."
        ),
        category=COSTS,
    ),
    "trust": FigureKind(
        function="pcft.reporting.figures.trust:trust_matrices",
        caption=(
            "Trust at the last exchange of experiment *{experiment}*, mean over seeds: the weight that the client of a row gives to the "
            "adapter of the client of a column. Clients are sorted by the largest category of their text. *oracle* is the trust that "
            "follows from the clients' shares of the categories."
        ),
        category=TRUST,
    ),
    "trust-history": FigureKind(
        function="pcft.reporting.figures.trust:trust_history",
        caption=(
            "Trust at the exchanges of experiment *{experiment}* by strategy, mean over seeds, next to the trust that follows from the "
            "clients' shares of the categories (*oracle*). Rows and columns are clients, sorted by the largest category of their text."
        ),
        category=TRUST,
        options=("iterations",),
    ),
    "trust-parts": FigureKind(
        function="pcft.reporting.figures.trust:trust_parts",
        caption=(
            "Trust that clients of experiment *{experiment}* place in themselves, in the others with the same largest category, and in all "
            "remaining clients, at each exchange; means over seeds and the clients that took part. " + UNPOISONED
        ),
        category=TRUST,
    ),
    "peers": FigureKind(
        function="pcft.reporting.figures.trust:peers",
        caption=(
            "Effective number of peers (the exponential of the entropy of a client's trust) and distance of trust from the oracle's (total "
            "variation) at each exchange of experiment *{experiment}*; means over seeds and the clients that took part."
        ),
        category=TRUST,
    ),
    "cross": FigureKind(
        function="pcft.reporting.figures.losses:cross_losses",
        caption=(
            "Loss of each peer's last adapter (columns) on each client's test text (rows), minus the loss of the client's own adapter, in "
            "experiment *{experiment}*; means over seeds. Blue: the peer's adapter is better. With many clients, only the first ones are "
            "shown (`evaluation.cross_clients`)."
        ),
        category=TRUST,
    ),
    "topologies": FigureKind(
        function="pcft.reporting.figures.gains:topologies",
        caption=(
            "Gain over *local* after the last iteration and effective number of peers at the last exchange of experiment *{experiment}*, "
            "by topology, side by side for each source of trust: "
            + INTERVALS
            + ", differences paired by seed and client. "
            + LOWER_EDGE
            + UNPOISONED
        ),
        study=("topology", "threshold", "k", "candidates"),
        baseline="local",
    ),
    "mixture": FigureKind(
        function="pcft.reporting.figures.mixture:mixture",
        shows="corpus",
        caption=(
            "Shares of the categories in each client's training text: bars are measured on the shards, ticks are the shares asked for. The "
            "matrix shows the Jensen-Shannon divergence between the token distributions of these texts (of the first 50 clients): 0 for "
            "equal, 1 for disjoint distributions. Two samples of one distribution differ as well, the more the shorter they are."
        ),
        category=CORPORA,
    ),
}
OF_EXPERIMENT = tuple(name for name, kind in FIGURES.items() if kind.shows == "experiment" and not kind.study)
STUDIES = tuple(name for name, kind in FIGURES.items() if kind.study)
OF_CORPUS = tuple(name for name, kind in FIGURES.items() if kind.shows == "corpus")
DECLARABLE = {name: kind for name, kind in FIGURES.items() if kind.shows != "corpus"}


def find(name: str, *shows: Shows) -> FigureKind:
    """Return the figure of this name.

    Raises:
        PcftError: there is none among the figures that show one of `shows`.
    """
    known = {other: kind for other, kind in FIGURES.items() if kind.shows in shows}
    if name not in known:
        raise PcftError(f"{name}: not a figure of this command; known: {', '.join(known)}")
    return known[name]
