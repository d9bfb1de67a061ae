from __future__ import annotations

from pcft.reporting.figures.style import COLOURS, OTHERS, colour, line


def test_one_colour_a_strategy() -> None:
    names = [*COLOURS, "mine", "yours"]
    colours = [colour(name, names) for name in names]
    assert len(set(colours)) == len(names)
    assert colours[-2:] == list(OTHERS[:2])
    assert colour("oracle", ["oracle"]) == COLOURS["oracle"]


def test_many_strategies_have_each_their_own_line() -> None:
    names = [*COLOURS, *(f"own-{i}" for i in range(16))]
    assert len({str(line(name, names)) for name in names}) == len(names)
