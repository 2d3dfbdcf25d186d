"""What a comparison can see: its power, the smallest difference it would find, the words it lacks.

A comparison of two models on k units (speakers, or texts) is a paired t-test of their differences:
at a true difference d with standard error s, the statistic follows the noncentral t distribution
with k - 1 degrees of freedom and noncentrality d / s. The standard error falls with the square root
of the units, of the same kind and as long as these.

Sources: Cohen 1988, "Statistical power analysis for the behavioral sciences"; statsmodels'
`TTestPower` computes the same (docs/significance.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_UNITS = 10**9


@dataclass(frozen=True, slots=True)
class Power:
    """What a comparison on these words could have found. Differences are fractions of words.

    Attributes:
        standard_error: of the difference.
        units: speakers, texts or utterances that it rests on.
        kind: which of these, such as "speaker".
        words: reference words that it rests on.
        confidence: of the interval that decides.
        asked: power that is asked for, such as 0.8.
        detectable: the smallest true difference that the interval excludes zero for with a
            probability of `asked`; infinite where the units do not tell, as below.
        margin: the smallest difference that matters.
        at_margin: probability to find a true difference of `margin`; NaN where it is not known.
        units_needed: units of this kind to find `margin` with a probability of `asked`; None where
            the units do not tell how much units differ: a single one, or all of them alike.
        words_needed: their words, those at hand included.
    """

    standard_error: float
    units: int
    kind: str
    words: int
    confidence: float
    asked: float
    detectable: float
    margin: float
    at_margin: float
    units_needed: int | None
    words_needed: int | None

    @property
    def is_enough(self) -> bool:
        return self.at_margin >= self.asked

    @property
    def lack(self) -> str:
        """What these words can find, and how many more it would take, in words."""
        if math.isnan(self.at_margin):
            return (
                f"Both make the same errors in each of {self.units:,} {self.kind}s, which do not "
                "tell how far others would differ: more of them narrow it."
            )
        found = f"A true difference of {in_points(self.margin)} is found {_times(self.at_margin)}"
        if self.units_needed is None or self.words_needed is None:
            return f"{found}."
        if self.is_enough:
            return f"{found}; this one may be smaller, and a narrower margin needs more words."
        return (
            f"{found}; only one of {in_points(self.detectable)} is found {_times(self.asked)}. For "
            f"{in_points(self.margin)} about {self.words_needed:,} words like these "
            f"({self.units_needed:,} {self.kind}s instead of {self.units:,}) are needed."
        )


def power_of(difference: float, standard_error: float, units: int, confidence: float) -> float:
    """Probability that a two-sided interval excludes zero at a true difference.

    Args:
        difference: true difference.
        standard_error: of the estimated difference; 0 finds every difference.
        units: independent units, at least two.
        confidence: of the interval.
    """
    from scipy import stats

    if units < 2:
        return 0.0
    if standard_error == 0.0:
        return 1.0 if difference else 1.0 - confidence
    shift, freedom = abs(difference) / standard_error, units - 1
    edge = float(stats.t.ppf(0.5 + confidence / 2.0, freedom))
    if shift > 37.0 + edge:
        return 1.0  # scipy's noncentral t is unsteady so far out, where nothing is left to lose
    below = float(stats.nct.cdf(-edge, freedom, shift)) if shift else (1.0 - confidence) / 2.0
    above = float(stats.nct.sf(edge, freedom, shift)) if shift else (1.0 - confidence) / 2.0
    return min(1.0, (0.0 if math.isnan(below) else below) + above)


def detectable_difference(
    standard_error: float, units: int, confidence: float, power: float
) -> float:
    """The smallest true difference that is found with a probability of `power`."""
    from scipy import optimize, stats

    if units < 2:
        return math.inf
    if standard_error == 0.0:
        return 0.0
    edge = float(stats.t.ppf(0.5 + confidence / 2.0, units - 1))
    # With one degree of freedom tails are long; a factor of 8 spans every case.
    highest = 8.0 * (edge + 4.0)
    found = optimize.brentq(
        lambda shift: power_of(shift, 1.0, units, confidence) - power, 0.0, highest
    )
    return float(found) * standard_error


def comparison_power(
    standard_error: float, units: int, words: int, margin: float,
    *, confidence: float, power: float = 0.8, kind: str = "unit",
) -> Power:  # fmt: skip
    """Power of a comparison that has been made.

    Args:
        standard_error: of the difference of word error rates, over the units.
        units: speakers or texts that it rests on.
        words: reference words that it rests on.
        margin: the smallest difference that matters, a fraction such as 0.005.
        confidence: of the interval that decides.
        power: asked for.
        kind: what the units are.

    Raises:
        ValueError: a margin that is not positive, a power or confidence outside of 0..1, a power
            that is no more than chance, a standard error that is not finite.
    """
    if not margin > 0.0:
        raise ValueError(f"margin is {margin}; it must be above 0: what difference would matter?")
    if not (0.0 < confidence < 1.0 and 1.0 - confidence < power < 1.0):
        raise ValueError(
            f"confidence is {confidence} and power {power}; both must be between 0 and 1, and "
            "power above 1 - confidence."
        )
    if units >= 2 and not (math.isfinite(standard_error) and standard_error >= 0.0):
        raise ValueError(f"standard_error is {standard_error}; it must be finite and not negative.")
    # Units without any difference have no spread to plan by; a spread of 0 would promise all.
    known = units < 2 or standard_error > 0.0
    needed = _units_needed(standard_error, units, margin, confidence, power) if known else None
    return Power(
        standard_error=standard_error,
        units=units,
        kind=kind,
        words=words,
        confidence=confidence,
        asked=power,
        detectable=detectable_difference(standard_error, units, confidence, power)
        if known
        else math.inf,
        margin=margin,
        at_margin=power_of(margin, standard_error, units, confidence) if known else math.nan,
        units_needed=needed,
        words_needed=None if needed is None else math.ceil(needed * words / units),
    )


def _units_needed(
    standard_error: float, units: int, margin: float, confidence: float, power: float
) -> int | None:
    """The fewest units that reach the power, at least two; by halving, as power grows with them."""
    if units < 2:
        return None

    def enough(count: int) -> bool:
        error = standard_error * math.sqrt(units / count)
        return power_of(margin, error, count, confidence) >= power

    low, high = 1, 2
    while not enough(high) and high < _MOST_UNITS:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return min(high, _MOST_UNITS)


def in_points(fraction: float) -> str:
    """A difference of rates as texts say it."""
    return f"{100 * fraction:.2f} points"


def _times(share: float) -> str:
    return f"{100 * share:.0f} times in 100"
