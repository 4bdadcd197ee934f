"""What every reader of results is held to, whatever tool wrote the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dstill.eval import Results, leaderboard, read_results
from dstill.runtime import BadInput

DATA = Path(__file__).parents[1] / "eval" / "interchange" / "data"
HELM = DATA / "helm" / "simple_mcqa_model=simple_model1"
LM_EVAL = DATA / "lm_eval" / "org__scripted-1b"


class FormContract:
    """What ``read_results`` promises of every form. Subclasses make results in a folder."""

    form: str
    metric: str
    """One of the metrics."""

    def make(self, folder: Path) -> Path:
        """Results of one system on at least three examples."""
        raise NotImplementedError

    def read(self, path: Path, **options: Any) -> Results:
        return read_results(path, **options)

    def test_it_is_told_by_its_content(self, tmp_path: Path) -> None:
        assert self.read(self.make(tmp_path)).form == self.form

    def test_reports_stand_on_a_board_as_they_are(self, tmp_path: Path) -> None:
        found = self.read(self.make(tmp_path), metric=self.metric)
        board = leaderboard([found[0]])
        assert board.entries[0].report.system == found[0].system
        assert [row.index for row in found[0].rows] == list(range(len(found[0].rows)))
        assert all(row.score is None or 0 <= row.score <= 1 for row in found[0].rows)
        assert len({row.id for row in found[0].rows}) == len(found[0].rows) >= 3
        assert found[0].examples is None or len(found[0].examples) == len(found[0].rows)

    def test_reading_twice_gives_the_same(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        assert [r.dump() for r in self.read(path)] == [r.dump() for r in self.read(path)]

    def test_the_system_and_the_names_can_be_others(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        old = self.read(path, metric=self.metric)[0]
        found = self.read(path, system="mine", metric="points", rename={self.metric: "points", "test": "held out"})
        split = "held out" if old.split == "test" else old.split
        assert [(r.system, r.metric, r.task, r.split) for r in found] == [("mine", "points", old.task, split)]
        assert [row.score for row in found[0].rows] == [row.score for row in old.rows]

    def test_an_unknown_metric_shows_what_there_is(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=rf"no metric shoes; expected one of: .*{self.metric}"):
            self.read(self.make(tmp_path), metric="shoes")

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="nowhere"):
            self.read(tmp_path / "nowhere", form=self.form)

    def test_scale_and_repeats_are_checked(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        for scale in ((1, 1), (0,), "x", (0, float("inf"))):
            with pytest.raises(BadInput, match="expected the worst and the best value"):
                self.read(path, scale=scale)
        with pytest.raises(BadInput, match="expected 'mean' or 'each'"):
            self.read(path, repeats="all")


class ReaderContract(FormContract):
    """What it promises besides of other tools' forms. Subclasses spoil their results, too."""

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        """Change the records of the results, given as a list, which must stand in the file in this order."""
        raise NotImplementedError

    def score(self, record: Any, value: Any) -> None:
        """Give a record a score of ``metric``."""
        raise NotImplementedError

    def test_results_without_examples_are_refused(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        self.edit(path, lambda records: [])
        with pytest.raises(BadInput, match="is empty"):
            self.read(path)

    def test_the_same_id_twice_is_named(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)
        self.edit(path, lambda records: [*records, records[0]])
        with pytest.raises(BadInput, match=r"id '[^']+' stands in .*too; expected it once"):
            self.read(path)

    @pytest.mark.parametrize("value", [73.5, -0.5])
    def test_a_score_outside_is_named_with_the_way_out(self, tmp_path: Path, value: float) -> None:
        path = self.make(tmp_path)

        def spoil(records: list[Any]) -> list[Any]:
            self.score(records[1], value)
            return records

        self.edit(path, spoil)
        with pytest.raises(BadInput, match=rf"{value} is outside \[0, 1\].*--scale") as caught:
            self.read(path, metric=self.metric)
        assert str(tmp_path) in str(caught.value)
        assert self.metric in str(caught.value)

    def test_a_scale_brings_scores_into_range(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)

        def hundreds(records: list[Any]) -> list[Any]:
            for place, record in enumerate(records):
                self.score(record, 100.0 if place else 25.0)
            return records

        self.edit(path, hundreds)
        scores = [row.score for row in self.read(path, metric=self.metric, scale=(0, 100))[0].rows]
        assert set(scores) <= {0.25, 1.0, 0.625}
        assert min(scores) < 1
        turned = [row.score for row in self.read(path, metric=self.metric, scale=(100, 0))[0].rows]
        assert turned == [1 - score for score in scores]

    def test_a_value_that_is_no_number_is_named(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)

        def spoil(records: list[Any]) -> list[Any]:
            self.score(records[1], "splendid")
            return records

        self.edit(path, spoil)
        with pytest.raises(BadInput, match="'splendid' is no number"):
            self.read(path, metric=self.metric)

    def test_what_has_no_score_is_unscored_and_counted(self, tmp_path: Path) -> None:
        path = self.make(tmp_path)

        def spoil(records: list[Any]) -> list[Any]:
            for record in records:
                self.score(record, float("nan"))
            self.score(records[0], 1.0)
            return records

        self.edit(path, spoil)
        report = self.read(path, metric=self.metric)[0]
        assert report.unscored == len(report.rows) - 1
        assert report.scores == [1.0]


class JsonLines:
    """Edits of files of JSON lines."""

    def edit(self, path: Path, change: Callable[[Any], Any]) -> None:
        records = change([json.loads(line) for line in path.read_text().splitlines()])
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
