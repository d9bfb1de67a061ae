"""Privacy accountant: the noise that a differential-privacy budget (ε, δ) asks for, and the δ that a noise achieves.

Each exchange of a run is a Gaussian mechanism on the same data: a clipped update plus Gaussian noise, without subsampling. Two data sets
are neighbours if one client's whole training text is replaced by another, which moves its clipped update by at most twice the clip: the
sensitivity. The n exchanges of a run compose exactly to one Gaussian mechanism with noise smaller by √n, also where a later update
depends on earlier messages (Dong, Roth and Su, 2022). The δ of one mechanism is known in closed form (Balle and Wang, 2018). So the budget
is met exactly, not bounded.
"""

from __future__ import annotations

import math

from pcft.config.events import Privacy
from pcft.errors import PcftError

LEAST = 1e-9  # distance μ; under it the two terms of δ agree in too many digits for their difference to mean anything
ROUNDING = 1e-9  # relative margin of the noise, so that rounding never exceeds the budget


def delta(epsilon: float, distance: float) -> float:
    """Return the smallest δ for which a Gaussian mechanism is (ε, δ)-differentially private.

    Args:
        epsilon: ε, at least 0.
        distance: μ, the sensitivity over the standard deviation of the noise, above 0.

    δ = Φ(μ/2 − ε/μ) − exp(ε) Φ(−μ/2 − ε/μ), theorem 8 of Balle and Wang (2018), written with the scaled complementary error function so
    that exp(ε) does not overflow.
    """
    from scipy.special import erfcx, ndtr  # here, because few runs need it

    a, b = distance / 2 - epsilon / distance, distance / 2 + epsilon / distance
    density = 0.5 * math.exp(-a * a / 2)  # exp(ε) Φ(-b) = exp(-a²/2) erfcx(b/√2) / 2, since b² = a² + 2ε
    if a < 0:
        return float(density * (erfcx(-a / math.sqrt(2)) - erfcx(b / math.sqrt(2))))
    return float(ndtr(a) - density * erfcx(b / math.sqrt(2)))


def achieved_delta(epsilon: float, multiplier: float, releases: int) -> float:
    """Return the δ that holds for `epsilon` after a number of releases, each with noise of `multiplier` times the sensitivity."""
    return delta(epsilon, math.sqrt(releases) / multiplier)


def noise_multiplier(privacy: Privacy, releases: int) -> float:
    """Return the smallest noise for the budget: its standard deviation over the sensitivity, the same at each of a number of releases.

    Raises:
        PcftError: the budget is too small.
    """
    from scipy.optimize import brentq

    most = 40 + math.hypot(40, math.sqrt(2) * math.sqrt(privacy.epsilon))  # there μ/2 - ε/μ is 40, and δ is 1 to all digits
    if delta(privacy.epsilon, LEAST) > privacy.delta:
        raise PcftError(
            f"events.privacy.epsilon is {privacy.epsilon} and delta {privacy.delta}: "
            f"that takes noise of more than {1 / LEAST:.0g} times the sensitivity; raise one of them"
        )
    logarithm = brentq(lambda x: delta(privacy.epsilon, math.exp(x)) - privacy.delta, math.log(LEAST), math.log(most), xtol=1e-14)
    return math.sqrt(releases) / math.exp(logarithm) * (1 + ROUNDING)


def describe_budget(privacy: Privacy, multiplier: float, releases: int) -> str:
    """Return the noise, and the budget that is spent after the last release, for the log."""
    achieved = achieved_delta(privacy.epsilon, multiplier, releases)
    spent = f"after the last of {releases} exchanges epsilon is {privacy.epsilon:g} and delta {achieved:.4g}"
    return f"privacy: noise of {multiplier:.4g} times the sensitivity, which is twice the clip; {spent}"
