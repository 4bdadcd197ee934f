"""Examples that stand together: what a report, a board, a gate and a board's folder make of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dstill.eval import (
    BoardFolder,
    Report,
    boards,
    check_board,
    clustered,
    compare,
    gate,
    leaderboard,
    non_inferior,
)
from dstill.eval.board.history import Past, tracks
from dstill.eval.board.standing import standing
from dstill.eval.compare import compare_scores
from dstill.eval.statistics import all_pairs, cluster_difference, cluster_mean, sign_flip
from dstill.runtime import BadInput
from outcomes import report

DOCUMENTS, EACH = 30, 8


def asked(system: str, rate: float, seed: int, *, documents: int = DOCUMENTS) -> Report:
    """Right-or-wrong answers to eight questions on each document, of which some documents are harder for a system."""
    chance = np.random.default_rng(seed)
    hard = np.repeat(chance.beta(4 * rate, 4 * (1 - rate), documents), EACH)
    found = report(system, (chance.random(documents * EACH) < hard).astype(float).tolist())
    examples = tuple(
        {"question": f"q{place}", "document": f"d{place // EACH}", "half": place * 2 // (documents * EACH)}
        for place in range(documents * EACH)
    )
    return replace(found, examples=examples)


def scores(found: Report) -> list[float | None]:
    return [row.score for row in found.rows]


def test_a_clustered_report_has_the_same_mean_and_the_interval_of_its_clusters() -> None:
    plain = asked("a", 0.7, 0)
    found = clustered(plain, "document")
    assert found.score is not None and plain.score is not None
    assert found.score.value == plain.score.value
    assert found.score == cluster_mean(scores(plain), [row.cluster for row in found.rows]).interval
    assert found.score.high - found.score.low > 1.3 * (plain.score.high - plain.score.low)
    assert found.dump()["clusters"] == DOCUMENTS and "clusters" not in plain.dump()
    assert "in 30 clusters" in str(found)
    assert [row.cluster for row in clustered(plain, "half").rows][:1] == ["0"]


def test_rows_carry_their_cluster_to_disk_and_back(tmp_path: Path) -> None:
    found = clustered(asked("a", 0.7, 0), "document")
    found.write(tmp_path)
    assert Report.load(tmp_path) == found
    asked("a", 0.7, 0).write(tmp_path / "plain")
    assert "cluster" not in (tmp_path / "plain" / "rows.jsonl").read_text()


def test_an_example_without_the_field_stands_alone() -> None:
    plain = asked("a", 0.7, 0, documents=3)
    holed = tuple(
        {**example, "document": None} if place < 2 else example for place, example in enumerate(plain.examples or ())
    )
    found = clustered(replace(plain, examples=holed), "document")
    assert len(set(found.clusters or ())) == 5
    assert clustered(found, "question").clusters != found.clusters


def test_what_cannot_be_clustered_is_refused() -> None:
    plain = asked("a", 0.7, 0)
    with pytest.raises(BadInput, match="a has kept no examples, so their field 'document' is not known"):
        clustered(replace(plain, examples=None), "document")
    with pytest.raises(BadInput, match="no example has a field 'source' to cluster by; expected one of: question, doc"):
        clustered(plain, "source")
    with pytest.raises(BadInput, match="all 240 examples share one document, 'd': expected at least two clusters"):
        clustered(replace(plain, examples=tuple({"document": "d"} for _ in plain.rows)), "document")
    with pytest.raises(BadInput, match="a was stopped when decided"):
        clustered(replace(plain, planned=900), "document")
    with pytest.raises(BadInput, match=r"different clusters \(a has 30, b has none\).*--cluster FIELD"):
        compare(clustered(plain, "document"), asked("b", 0.7, 1))
    with pytest.raises(BadInput, match="different clusters"):
        leaderboard([clustered(plain, "document"), asked("b", 0.7, 1)])


def test_a_comparison_flips_whole_clusters() -> None:
    a, b = (clustered(asked(name, rate, seed), "document") for name, rate, seed in (("a", 0.7, 0), ("b", 0.6, 1)))
    found = compare(a, b)
    labels = [row.cluster for row in a.rows]
    expected = cluster_difference(scores(a), scores(b), labels).interval
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high))
    apart = np.array(scores(a), dtype=float) - np.array(scores(b), dtype=float)
    assert found.p == sign_flip(apart.reshape(DOCUMENTS, EACH).sum(axis=1))
    assert found.p > compare(asked("a", 0.7, 0), asked("b", 0.6, 1)).p
    allowed = non_inferior(scores(a), scores(b), margin=0.2, clusters=labels)  # type: ignore[arg-type]
    assert allowed.difference.low == pytest.approx(cluster_difference(scores(a), scores(b), labels, 0.9).interval.low)
    assert (allowed.needed or 0) > (non_inferior(scores(a), scores(b), margin=0.2).needed or 0)  # type: ignore[arg-type]
    assert gate(a, b).comparison == found


def test_copies_of_every_example_establish_nothing_more() -> None:
    chance = np.random.default_rng(4)
    table = (chance.random((4, 40)) < np.array([[0.8], [0.6], [0.55], [0.5]])).astype(float)
    once = all_pairs(table, clusters=np.arange(40), resamples=2_000)
    many = all_pairs(np.repeat(table, 10, axis=1), clusters=np.repeat(np.arange(40), 10), resamples=2_000)
    assert many.error == pytest.approx(once.error)
    assert many.adjusted == pytest.approx(once.adjusted, abs=0.002)
    assert many.low == pytest.approx(once.low)
    assert (all_pairs(np.repeat(table, 10, axis=1), resamples=2_000).adjusted < 0.5 * once.adjusted).any()


def test_copies_of_every_example_move_nobody_on_a_board() -> None:
    chance = np.random.default_rng(4)
    table = (chance.random((4, 40)) < np.array([[0.8], [0.6], [0.55], [0.5]])).astype(float)
    once, copies = standing(table), np.repeat(table, 10, axis=1)
    found = standing(copies, np.repeat(np.arange(40), 10))
    assert found.better.tolist() == once.better.tolist()
    assert found.ranks == once.ranks
    assert standing(copies).better.sum() > once.better.sum()


def test_what_a_version_gained_is_known_by_cluster() -> None:
    old, new = (clustered(asked("a", rate, seed), "document") for rate, seed in ((0.6, 1), (0.8, 2)))
    ((_, later),) = (track.versions for track in tracks([Past(old, "v1", 1, "d1"), Past(new, "v2", 2, "d2")]))
    assert later.gain is not None
    assert later.gain == compare_scores(scores(new), scores(old), clusters=new.clusters)
    assert later.gain != compare_scores(scores(new), scores(old))


def test_a_board_in_clusters_says_so_and_claims_less() -> None:
    reports = [asked(name, rate, seed) for name, rate, seed in (("a", 0.8, 0), ("b", 0.7, 1), ("c", 0.65, 2))]
    plain, board = leaderboard(reports), leaderboard(reports, cluster="document")
    assert board.clusters == DOCUMENTS and plain.clusters == 0
    assert "240 examples in 30 clusters" in board.title
    assert any("The examples stand in 30 clusters." in note for note in board.notes)
    assert "p: sign-flip test by cluster" in board.notes[0]
    assert board.standing.undecided >= plain.standing.undecided
    assert board.entries[0].report.score != plain.entries[0].report.score
    assert board.entries[0].report.score == clustered(reports[0], "document").score
    part, whole = board.slicings[-1].slices[0], plain.slicings[-1].slices[0]
    assert part.scores[0] is not None and whole.scores[0] is not None
    assert part.scores[0].value == whole.scores[0].value and part.scores[0] != whole.scores[0]
    assert board.dump()["systems"][0]["clusters"] == DOCUMENTS
    several = boards([*reports, *(replace(one, task="more") for one in reports)], cluster="document")
    ranks = [place.average for place in several.overall.places]
    loose = [
        place.average for place in boards([*reports, *(replace(one, task="more") for one in reports)]).overall.places
    ]
    assert ranks[0] is not None and loose[0] is not None
    assert ranks[0].high - ranks[0].low > 1.3 * (loose[0].high - loose[0].low)


def test_a_slice_within_one_cluster_is_known_by_nothing() -> None:
    plain = asked("a", 0.7, 0, documents=2)
    board = leaderboard([plain, asked("b", 0.5, 1, documents=2)], cluster="document", slices=["half"])
    part = board.slicings[0].slices[0]
    assert part.scores[0] is not None and (part.scores[0].low, part.scores[0].high) == (0.0, 1.0)
    gain = part.gain(0, 1)
    assert gain is not None and (gain.low, gain.high) == (-1.0, 1.0)


def test_equal_systems_on_clustered_examples_are_seldom_told_apart() -> None:
    """Which a test that takes examples for independent gets wrong in most runs."""
    naive = robust = family = 0
    for seed in range(150):
        a, b, c = (asked(name, 0.5, 3 * seed + place) for place, name in enumerate("abc"))
        naive += compare(a, b).verdict != "no significant difference"
        robust += compare(clustered(a, "document"), clustered(b, "document")).verdict != "no significant difference"
        labels = np.arange(DOCUMENTS * EACH) // EACH
        table = np.array([scores(one) for one in (a, b, c)], dtype=float)
        family += bool(all_pairs(table, clusters=labels, resamples=500).better().any())
    assert naive / 150 > 0.12
    assert robust / 150 < 0.1
    assert family / 150 < 0.1


def test_a_boards_folder_recomputes_clusters(tmp_path: Path) -> None:
    folder = BoardFolder(tmp_path)
    folder.add([clustered(asked(name, 0.6, seed), "document") for seed, name in enumerate("ab")])
    assert check_board(tmp_path).problems == ()
    with pytest.raises(BadInput, match="different clusters"):
        folder.add([asked("c", 0.6, 5)])
    file = next((tmp_path / "entries").glob("*-a")) / "report.json"
    body = json.loads(file.read_text())
    body["score"] = asked("a", 0.6, 0).dump()["score"]  # narrower
    file.write_text(json.dumps(body))
    assert check_board(tmp_path).problems
