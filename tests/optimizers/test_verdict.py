"""What a compilation claims: nothing where nothing was found, and what it would take to tell."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
from dstill.eval.compare import compare_scores
from dstill.eval.statistics.power import examples_needed
from dstill.optimizers import compile
from dstill.optimizers.verdict import Evidence


def test_no_effect_is_reported_as_none(tmp_path: Path) -> None:
    """Prompts have no effect here: over 12 seeds the reported gains scatter around 0 and hardly any is claimed."""
    gains, claims = [], 0
    for seed in range(12):
        engine = fakes.painter(lambda d, i: 0.6, name=f"null-{seed}")
        plain = engine._script

        def script(request: Any, plain: Any = plain, seed: int = seed) -> Any:
            import random

            from dstill.runtime.fields import input_fields, render_fields

            if "`colour`" not in str(request.system):
                return plain(request)
            text = input_fields(request)["text"]
            right = random.Random(f"{seed}{request}").random() < 0.6
            return render_fields({"colour": fakes.truth(text) if right else "red"})

        engine._script = script
        made = compile(fakes.task(dev=100), engine, fakes.SMALL, seed=seed, run=tmp_path / str(seed))
        assert made.evidence is not None
        if made.evidence.gain is not None:
            gains.append(made.evidence.gain.difference.value)
            claims += made.evidence.gain.verdict == "better"
    assert abs(sum(gains) / len(gains)) < 0.08
    assert claims <= 2


def test_a_verdict_of_no_gain_says_what_could_have_been_shown_and_what_it_would_take() -> None:
    gain = compare_scores([1.0] * 12 + [0.0] * 8 + [1.0] * 20, [0.0] * 10 + [1.0] * 10 + [1.0] * 20)
    assert gain.verdict not in ("better", "worse")
    evidence = Evidence("race", 9, 3, gain, spread=0.45, sought=0.05)
    assert evidence.least is not None and evidence.rows_needed(0.05) is not None
    assert examples_needed(0.45, 0.05, level=0.975, power=0.9) == evidence.rows_needed(0.05)
    assert evidence.rows_needed(evidence.least * 1.001) <= gain.n < evidence.rows_needed(evidence.least * 0.99)  # type: ignore[operator]
    assert f"a gain of {100 * evidence.least:.1f} or more, and one of 5 would take some" in evidence.verdict
    assert f"{evidence.rows_needed(0.05):,}" in evidence.verdict
    told = f"{evidence.rows_needed(0.05):,} (of {math.ceil(evidence.rows_needed(0.05) / 0.3):,} dev rows in all)"  # type: ignore[operator]
    assert replace(evidence, apart=0.3).verdict.endswith(told)
    assert replace(evidence, sought=0.5).verdict.endswith("]")  # these rows would have shown half of all
    assert evidence.dump()["rows_needed"] == evidence.rows_needed(0.05)
    assert replace(evidence, spread=0.0).rows_needed(0.05) is None
