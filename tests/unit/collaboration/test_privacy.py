"""Privacy accountant: closed form, composition, and numerical integration that shares no formula with it."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from scipy.integrate import quad

from pcft.collaboration.privacy import achieved_delta, delta, describe_budget, noise_multiplier
from pcft.config.events import Privacy
from pcft.errors import PcftError

BUDGETS = [(1e-12, 1e-5), (0.01, 1e-5), (0.5, 1e-5), (1.0, 1e-12), (8.0, 1e-5), (100.0, 0.3), (1e4, 1e-5), (1e9, 1e-5), (1.0, 0.999)]


def by_integration(epsilon: float, distance: float) -> float:
    """Return δ as it is defined: how far the density of N(μ, 1) is above exp(ε) times that of N(0, 1), integrated."""
    ours, theirs = NormalDist(distance, 1), NormalDist(0, 1)
    start = distance / 2 + epsilon / distance  # there the densities' ratio is exp(ε)
    value, _ = quad(lambda x: max(ours.pdf(x) - math.exp(epsilon) * theirs.pdf(x), 0.0), start, max(start, distance) + 12, epsabs=0)
    return float(value)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 8.0])
@pytest.mark.parametrize("distance", [0.01, 0.3, 1.0, 5.0])
def test_delta_is_what_its_definition_gives(epsilon: float, distance: float) -> None:
    assert delta(epsilon, distance) == pytest.approx(by_integration(epsilon, distance), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize(
    ("epsilon", "distance", "expected"),
    [
        (0.0, 2.0, 0.6826894921370859),  # total variation: Φ(1) - Φ(-1)
        (0.5, 1.0, 0.5 - math.exp(0.5) * 0.15865525393145707),  # Φ(0) - exp(0.5) Φ(-1)
        (2.0, 2.0, 0.5 - math.exp(2.0) * 0.02275013194817921),  # Φ(0) - exp(2) Φ(-2)
    ],
)
def test_delta_by_hand(epsilon: float, distance: float, expected: float) -> None:
    assert delta(epsilon, distance) == pytest.approx(expected, rel=1e-12)


def test_delta_falls_with_epsilon_and_rises_with_distance() -> None:
    by_epsilon = [delta(epsilon, 1.0) for epsilon in np.linspace(0, 30, 200)]
    assert all(after < before for before, after in pairwise(by_epsilon))
    by_distance = [delta(1.0, distance) for distance in np.geomspace(0.05, 10, 200)]
    assert all(before < after for before, after in pairwise(by_distance))


@pytest.mark.parametrize(("epsilon", "expected"), [(0.5, 7.031827), (1.0, 3.730632), (2.0, 1.993812)])
def test_noise_of_the_analytic_gaussian_mechanism(epsilon: float, expected: float) -> None:
    """Against bisection on the condition as it stands in Balle and Wang (2018), in the plain normal distribution function."""
    assert noise_multiplier(Privacy(epsilon=epsilon, delta=1e-5), 1) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("epsilon", "chance"), BUDGETS)
@pytest.mark.parametrize("releases", [1, 5, 400])
def test_the_noise_is_the_smallest_for_the_budget(epsilon: float, chance: float, releases: int) -> None:
    found = noise_multiplier(Privacy(epsilon=epsilon, delta=chance), releases)
    assert achieved_delta(epsilon, found, releases) <= chance
    assert achieved_delta(epsilon, found * (1 - 1e-8), releases) > chance
    assert found == pytest.approx(releases**0.5 * noise_multiplier(Privacy(epsilon=epsilon, delta=chance), 1), rel=1e-12)


def test_releases_compose_as_their_privacy_losses_add_up() -> None:
    """Against the distribution of the sum of four releases' privacy losses, convolved on a grid."""
    distance, epsilon, step = 0.7, 2.0, 1e-3
    losses = np.arange(-6, 6, step)  # of one release, normal with mean μ²/2 and variance μ²
    one = np.exp(-((losses - distance**2 / 2) ** 2) / (2 * distance**2)) / (distance * math.sqrt(2 * math.pi)) * step
    two = np.convolve(one, one)
    four = np.convolve(two, two)
    total = 4 * losses[0] + step * np.arange(len(four))
    expected = (four * np.clip(1 - np.exp(epsilon - total), 0, None)).sum()
    assert achieved_delta(epsilon, 1 / distance, 4) == pytest.approx(expected, rel=1e-4)


def test_more_exchanges_and_smaller_budgets_need_more_noise() -> None:
    assert noise_multiplier(Privacy(epsilon=1), 2) > noise_multiplier(Privacy(epsilon=1), 1)
    assert noise_multiplier(Privacy(epsilon=1), 1) > noise_multiplier(Privacy(epsilon=2), 1)
    assert noise_multiplier(Privacy(epsilon=1, delta=1e-6), 1) > noise_multiplier(Privacy(epsilon=1, delta=1e-5), 1)


def test_a_budget_too_small() -> None:
    with pytest.raises(PcftError, match=r"^events.privacy.epsilon is 1e-12 and delta 1e-30: that takes noise of more than 1e\+09 times"):
        noise_multiplier(Privacy(epsilon=1e-12, delta=1e-30), 4)


def test_the_log_states_the_budget_that_is_spent() -> None:
    """By the noise, not by what was asked for."""
    line = describe_budget(Privacy(epsilon=8, clip=0.5), 2.0, 5)
    assert line == (
        "privacy: noise of 2 times the sensitivity, which is twice the clip; "
        f"after the last of 5 exchanges epsilon is 8 and delta {achieved_delta(8, 2.0, 5):.4g}"
    )
    assert achieved_delta(8, 2.0, 5) < 1e-7
