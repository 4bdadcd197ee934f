"""How many examples a question needs, and what can be seen with those at hand. All tests here are one-sided.

A two-sided 95 % interval that must leave zero on one side is a one-sided test at ``level=0.975``.
"""

from __future__ import annotations

import math

from ...runtime.errors import BadInput
from .intervals import normal_quantile
from .values import check_level


def examples_needed(spread: float, effect: float, *, level: float = 0.95, power: float = 0.8) -> int | None:
    """Paired examples to establish a difference of ``effect`` one-sided, by the paired interval's own approximation.

    Args:
        spread: the mean square of the paired differences (for right-or-wrong scores: the share of disagreements).
        effect: the difference, or the margin, in score.
    """
    _check_chances(level, power)
    if spread <= 0 or effect <= 0:
        return None
    # The interval adds two disagreements: (z / effect)^2 * (spread + 2 / n) = n, solved for n.
    z = (normal_quantile(level) + normal_quantile(power)) / effect
    return math.ceil((z * z * spread + math.sqrt((z * z * spread) ** 2 + 8 * z * z)) / 2)


def detectable_effect(n: int, spread: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest difference that ``n`` paired examples establish with this power: the inverse of ``examples_needed``.

    Args:
        n: paired examples, at least 1.
        spread: the mean square of the paired differences.

    Returns:
        A difference in score; above 1 it means that no difference can be established.
    """
    if n < 1 or spread < 0:
        raise BadInput(f"n={n}, spread={spread}: expected at least one example and a mean square of 0 or more")
    _check_chances(level, power)
    return (normal_quantile(level) + normal_quantile(power)) * math.sqrt((spread + 2 / n) / n)


def examples_needed_single(bar: float, accuracy: float, *, level: float = 0.95, power: float = 0.8) -> int | None:
    """Examples to establish one-sided that a system of this true accuracy lies above (or below) a fixed bar.

    The textbook's formula for one proportion with the variances of both hypotheses (Fleiss, Levin and Paik,
    Statistical Methods for Rates and Proportions, 3rd ed., 2003, section 2.5).

    Args:
        bar: the accuracy to be told from, between 0 and 1.
        accuracy: the accuracy that the system is thought to have.

    Returns:
        ``None`` if both are equal: no number of examples would do.
    """
    for name, value in (("bar", bar), ("accuracy", accuracy)):
        if not 0 <= value <= 1:
            raise BadInput(f"{name}={value}: expected a share of 1")
    _check_chances(level, power)
    if bar == accuracy:
        return None
    root = normal_quantile(level) * math.sqrt(bar * (1 - bar))
    root += normal_quantile(power) * math.sqrt(accuracy * (1 - accuracy))
    return max(1, math.ceil((root / (accuracy - bar)) ** 2))


def detectable_effect_single(n: int, bar: float, *, level: float = 0.95, power: float = 0.8) -> float | None:
    """How far above a fixed bar a system's true accuracy must lie for ``n`` examples to show it with this power.

    Returns:
        A difference of accuracies, to 1e-9; ``None`` if not even a system that is always right would be told from it.
    """
    if n < 1 or not 0 <= bar <= 1:
        raise BadInput(f"n={n}, bar={bar}: expected at least one example and a share of 1")

    def enough(accuracy: float) -> bool:
        needed = examples_needed_single(bar, accuracy, level=level, power=power)
        return needed is not None and needed <= n

    if not enough(1.0):
        return None
    low, high = bar, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high - bar


def _check_chances(level: float, power: float) -> None:
    check_level(level)
    if not 0 < power < 1:
        raise BadInput(f"power={power}: expected a number between 0 and 1, e.g. 0.8")
