"""How many examples a comparison needs."""

from __future__ import annotations

import math

from .intervals import normal_quantile


def examples_needed(spread: float, effect: float, *, level: float = 0.95, power: float = 0.8) -> int | None:
    """Paired examples to establish a difference of ``effect`` one-sided, by the paired interval's own approximation.

    Args:
        spread: the mean square of the paired differences (for right-or-wrong scores: the share of disagreements).
        effect: the difference, or the margin, in score.
    """
    if spread <= 0 or effect <= 0:
        return None
    # The interval adds two disagreements: (z / effect)^2 * (spread + 2 / n) = n, solved for n.
    z = (normal_quantile(level) + normal_quantile(power)) / effect
    return math.ceil((z * z * spread + math.sqrt((z * z * spread) ** 2 + 8 * z * z)) / 2)
