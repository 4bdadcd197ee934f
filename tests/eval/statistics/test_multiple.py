"""Adjusted p-values against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from dstill.eval.statistics.multiple import benjamini_hochberg, holm
from dstill.runtime.errors import BadInput
from statsmodels.stats.multitest import multipletests

FAMILIES = [[0.01], [0.04, 0.01, 0.03, 0.01], [1.0, 0.9, 0.2], list(np.random.default_rng(0).random(50) ** 3)]


@pytest.mark.parametrize("p", FAMILIES, ids=len)
def test_adjusted_p_values_are_those_of_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-9)
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-9)


@pytest.mark.parametrize("method", [holm, benjamini_hochberg])
def test_a_test_that_was_not_made_stays_out_of_the_family(method: object) -> None:
    found = method([0.03, None, 0.01, np.nan])  # type: ignore[operator]
    assert np.isnan(found[[1, 3]]).all()
    assert found[[0, 2]] == pytest.approx(method([0.03, 0.01]))  # type: ignore[operator]
    assert method([]).size == 0  # type: ignore[operator]


def test_what_is_no_p_value() -> None:
    with pytest.raises(BadInput, match="from 0 to 1, got 1.2"):
        holm([0.1, 1.2])
