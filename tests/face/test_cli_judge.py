"""A judge's scores on the command line: evaluated, labelled by people, corrected, replayed."""

from __future__ import annotations

import csv
from pathlib import Path

import fakes
import pytest
import tests_support
from commands import Cli


@pytest.fixture
def evaluated(cli: Cli, server: tests_support.OpenAIServer) -> Path:
    """A program that is right on three of four, and a judge that takes half of the rest for right too."""
    server.script = [fakes.painting_or_judging]
    words = ["--task", "fakes:judged_task", "--task-arg", f"url={server.url}", "--task-arg", "test=400"]
    words += ["--lm", "openai/painter", "--base-url", server.url, "--optimizer", "zero-shot", "--run", "zero"]
    code, _, err = cli("compile", *words)
    assert code == 0, err
    code, out, err = cli("eval", "runs/zero")
    assert code == 0, err
    assert "scored by a model: 400 calls of the metric, 48,000 tokens, $0.056, in no figure of the system" in out
    return Path("runs/zero-test")


def label(path: Path, n: int) -> None:
    """Fill in what is true of the first n answers of a sheet."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:n]:
        row["label"] = str(int(row["output.colour"] == fakes.truth(row["example.text"])))
    with path.open("w", newline="") as file:
        sheet = csv.DictWriter(file, list(rows[0]))
        sheet.writeheader()
        sheet.writerows(rows)


def test_from_an_evaluation_by_a_judge_to_what_people_would_say(
    cli: Cli, evaluated: Path, server: tests_support.OpenAIServer
) -> None:
    paid = len(server.requests)
    code, out, err = cli("export", evaluated, "--to", "labels", "--out", "people.csv", "--n", 80, "--seed", 1)
    assert (code, out) == (0, "80 of 400 answers to be labelled in people.csv, in random order (seed 1)\n"), err
    label(Path("people.csv"), 70)
    for run in (evaluated, "runs/zero"):  # a finished evaluation, and a program whose calls are in the journal
        code, out, err = cli("eval", run, "--labels", "people.csv")
        assert code == 0, err
        score = float(out.split("as people would score it: ")[1].split()[0])
        judge = float(out.split("the judge alone: ")[1].split(";")[0])
        assert abs(score - 75) < 10
        assert judge == 87.5
        assert "too kind" in out
        assert "by 70 labels and 400 scores of judge(colour)" in out
        assert "10 rows have no label" in out
    assert len(server.requests) == paid
    code, _, err = cli("export", evaluated, "--to", "labels", "--out", "people.csv")
    assert (code, "people.csv holds labels already, 70 of them" in err) == (2, True)


def test_a_board_notes_what_people_would_score(cli: Cli, evaluated: Path) -> None:
    ids = [f"r{n}" for n in range(100, 500)]
    Path("all.csv").write_text("id,score,answer\n" + "".join(f"{id},1,x\n" for id in ids))
    words = ["leaderboard", evaluated, "all.csv", "--rename", "score=judge(colour)"]
    assert cli("export", evaluated, "--to", "labels", "--out", "people.csv")[0] == 0
    label(Path("people.csv"), 60)
    code, out, err = cli(*words, "--labels", "people.csv")
    assert code == 0, err
    note = next(line for line in out.splitlines() if "people would score it" in line)
    assert note.startswith("zero: people would score it 7")
    assert note.endswith("by 60 labels (prediction-powered); the score here is that of judge(colour), 87.5")
    assert "people would score it" in Path("leaderboard.html").read_text()
    Path("bare.csv").write_text("id,label\nr100,1\nr101,0\n")
    code, _, err = cli(*words, "--labels", "bare.csv")
    assert (code, "bare.csv has labels of no answers of zero, all" in err) == (2, True)
    code, out, err = cli("leaderboard", evaluated, "--labels", "bare.csv")
    assert (code, "by 2 labels" in out) == (0, True), err
    code, _, err = cli("leaderboard", evaluated, "--labels", "bare.csv", "--cluster", "colour")
    assert (code, "leave out one" in err) == (2, True)


def test_labels_that_do_not_fit(cli: Cli, evaluated: Path) -> None:
    Path("people.csv").write_text("id,label\nr100,1\nr900,0\n")
    code, _, err = cli("eval", evaluated, "--labels", "people.csv")
    assert (code, "people.csv has a label for 'r900', which zero was not run on" in err) == (2, True)
    code, _, err = cli("eval", evaluated, "--labels", "people.csv", "--against", evaluated)
    assert (code, "leave out one of --labels, --against" in err) == (2, True)
    Path("people.csv").write_text("id,label\nr100,good\n")
    code, _, err = cli("eval", "runs/none", "--labels", "people.csv")  # read before anything is run
    assert (code, "line 2: the label is 'good'" in err) == (2, True)
    words = ["--to", "labels", "--out", "new.csv"]
    code, _, err = cli("export", evaluated, f"other={evaluated}", *words)
    assert (code, "2 reports; expected one" in err, Path("new.csv").exists()) == (2, True, False)


def test_a_search_by_a_judge_is_replayed_with_the_network_closed(cli: Cli, server: tests_support.OpenAIServer) -> None:
    server.script = [fakes.painting_or_judging]
    words = ["--task", "fakes:judged_task", "--task-arg", f"url={server.url}", "--task-arg", "dev=20"]
    words += ["--lm", "openai/painter", "--base-url", server.url, "--optimizer", "bootstrap", "--run", "shots"]
    code, _, err = cli("compile", *words)
    assert code == 0, err
    assert {body["model"] for body in server.requests} == {"painter", "judge"}
    asked = len(server.requests)
    code, out, err = cli("replay", "runs/shots")
    assert code == 0, out + err
    assert len(server.requests) == asked
