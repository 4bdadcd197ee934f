"""Rough texts: most of the words stay, strange ones tell nothing, and only training reads them."""

from __future__ import annotations

import statistics

import pytest
from dstill.runtime.derive import derive
from dstill.runtime.embedded import classify, concepts, jumble, themes


def test_strange_words_belong_to_no_theme() -> None:
    telling = {w for t in themes.themes() for part in t.words.values() for phrase in part for w in phrase.split()}
    assert len(jumble.fillers()) > 1000
    assert not telling & set(jumble.fillers())


def test_most_words_stay() -> None:
    text = "the cook put a pan on the stove and then the guests came in"
    words = set(text.split())
    assert jumble.jumble(derive(0), text, 0.0) == text
    rough = [jumble.jumble(derive(i), text, 0.4).split() for i in range(400)]
    assert 0.75 < statistics.mean(len(words & set(r)) / len(words) for r in rough) < 0.9
    assert 1.5 < statistics.mean(sum(w not in words for w in r) for r in rough) < 3.5
    assert jumble.jumble(derive(1), "yes", 0.7) == "yes"


@pytest.mark.parametrize(("split", "share"), [("train", 0.5), ("held", 0.0)])
def test_only_training_reads_rough_texts(split: str, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(classify, "jumble", lambda rng, text, rough: seen.append(rough) or text)
    for i in range(200):
        classify.classification(derive(i), split, source=concepts.theme_source(False), n_demos=0)  # type: ignore[arg-type]
    assert len(seen) == 200
    assert statistics.mean(rough > 0 for rough in seen) == pytest.approx(share, abs=0.1)
