"""Results of other tools on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tests_support
from commands import Cli
from dstill.eval import read_results
from dstill.runtime import RunDir
from outcomes import report

DATA = Path(__file__).parents[1] / "eval" / "interchange" / "data"


def ours(name: str, scores: list[float | None]) -> str:
    made = report(name, scores)
    with RunDir(Path("runs") / f"{name}-test", kind="eval", config={}) as run:
        made.save(run)
        run.finish()
    return f"runs/{name}-test"


def test_ours_beside_a_table_and_a_name_for_it(cli: Cli) -> None:
    Path("people.csv").write_text("id,score\ne1,100\ne0,100\ne2,50\n")
    code, _, err = cli("leaderboard", ours("ours", [1.0, 0.0, 1.0]), "people.csv", "--rename", "score=exact")
    assert (code, "100 is outside [0, 1]" in err) == (2, True)
    Path("people.csv").write_text("id,score\ne1,1\ne0,1\ne2,0.5\n")
    words = ["leaderboard", "runs/ours-test", "humans=people.csv", "--rename", "score=exact", "--out", "boards"]
    code, _, err = cli(*words)
    assert code == 0, err
    board = json.loads(Path("boards/leaderboard.json").read_text())
    assert {(s["system"], round(s["score"]["value"], 3)) for s in board["systems"]} == {
        ("ours", 0.667),
        ("humans", 0.833),
    }


def test_different_examples_and_the_shared_ones(cli: Cli) -> None:
    Path("people.csv").write_text("id,score\ne1,1\ne7,1\n")
    words = ["leaderboard", ours("ours", [1.0, 0.0, 1.0]), "people.csv", "--rename", "score=exact"]
    code, _, err = cli(*words)
    assert (code, "of which they share 1" in err, "--shared" in err) == (2, True, True)
    code, out, _ = cli(*words, "--shared")
    assert (code, "3 examples are left out" in out) == (0, True)


def test_examples_that_stand_together(cli: Cli) -> None:
    """On boards, in the gate, and in a board's folder."""
    for name, start in (("a", 0), ("b", 1)):
        made = report(name, [float((start + place) % 3 > 0) for place in range(24)])
        asked = tuple({"question": f"q{place}", "document": f"d{place // 4}"} for place in range(24))
        replace(made, examples=asked).write(Path(name))
    code, out, err = cli("leaderboard", "a", "b", "--cluster", "document", "--out", "boards")
    assert (code, "24 examples in 6 clusters" in out) == (0, True), err
    code, out, _ = cli("eval", "a", "--against", "b", "--cluster", "document")
    assert (code, "n=24 in 6 clusters" in out) == (11, True)
    code, _, err = cli("leaderboard", "add", "a", "b", "--board", "folder", "--cluster", "document")
    assert code == 0, err
    assert '"cluster":"d0"' in Path("folder/entries/0001-a/rows.jsonl").read_text()
    assert cli("leaderboard", "check", "folder")[0] == 0
    code, _, err = cli("leaderboard", "a", "b", "--cluster", "source")
    assert (code, "no example has a field 'source' to cluster by" in err) == (2, True)
    code, _, err = cli("eval", "a", "--against", "b", "--cluster", "document", "--stop-when-decided")
    assert (code, "its intervals take examples for independent" in err) == (2, True)


def test_several_tasks_and_what_was_left_out(cli: Cli) -> None:
    code, out, err = cli("leaderboard", str(DATA / "lm_eval"), "--out", "boards")
    assert code == 0
    assert "word_perplexity: lower is better" in err
    assert "exact_match,strict-match" in out
    assert cli("leaderboard", str(DATA / "lm_eval"), "--task", "sums", "--id", "id")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rename", "x"], "--rename x: expected OLD=NEW"),
        (["--scale", "100"], "--scale 100: expected the worst and the best value"),
        (["--repeats", "all"], "repeats='all'"),
        (["--form", "xls"], "form='xls'"),
        (["--metric", "none"], "has no metric none; expected one of: exact"),
        (["--baseline", "none"], "baseline 'none' is not on the board"),
    ],
)
def test_a_mistake_gets_one_message(cli: Cli, words: list[str], said: str) -> None:
    code, out, err = cli("leaderboard", ours("ours", [1.0, 0.0]), *words)
    assert (code, said in err, "Traceback" in out + err) == (2, True, False)


def test_the_gate_takes_other_tools_results(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")[0] == 0
    assert cli("eval", "runs/zero")[0] == 0
    rows = [json.loads(line) for line in Path("runs/zero-test/rows.jsonl").read_text().splitlines()]
    Path("base.jsonl").write_text("".join(json.dumps({"id": r["id"], "score": 0}) + "\n" for r in reversed(rows)))
    code, out, _ = cli("eval", "runs/zero", "--against", "base.jsonl")
    assert (code, "zero is better than base" in out) == (0, True)


def test_the_gate_judges_finished_evaluations_without_running_anything(cli: Cli) -> None:
    Path("low.csv").write_text("id,score\n" + "".join(f"e{i},{int(i < 20)}\n" for i in range(100)))
    Path("high.csv").write_text("id,score\n" + "".join(f"e{i},{int(i < 80)}\n" for i in range(100)))
    code, out, err = cli("eval", "high.csv", "--against", "low.csv", "--junit", "r.xml")
    assert (code, "high is better than low: +60.0 points" in out, Path("r.xml").exists()) == (0, True, True), err
    code, out, _ = cli("eval", "low.csv", "--against", "high.csv", "--name", "new")
    assert (code, "new is worse than high" in out) == (10, True)
    mine = ours("mine", [1.0, 0.0, 1.0])
    assert cli("eval", mine, "--against", mine)[0] == 11
    code, _, err = cli("eval", "low.csv", "--against", "high.csv", "--lm", "embedded")
    assert (code, "--lm embedded: low.csv is a finished evaluation" in err) == (2, True)


def test_the_gate_offers_the_shared_examples(cli: Cli) -> None:
    Path("low.csv").write_text("id,score\n" + "".join(f"e{i},{int(i < 20)}\n" for i in range(100)))
    Path("part.csv").write_text("id,score\n" + "".join(f"e{i},1\n" for i in reversed(range(50, 130))))
    Path("other.csv").write_text("id,score\nx,1\n")
    code, _, err = cli("eval", "part.csv", "--against", "low.csv")
    assert (code, "of which they share 50" in err, "--shared" in err) == (2, True, True)
    code, out, _ = cli("eval", "part.csv", "--against", "low.csv", "--shared")
    assert code == 0
    said = out.splitlines()[-1]
    assert said.startswith("part is better than low: +100.0 points")
    assert said.endswith("on 50 examples, margin 1 points; 80 that only one of them was run on are left out")
    assert "--shared: it is for two evaluations" in cli("eval", "part.csv", "--shared")[2]
    out = cli("eval", "low.csv", "--against", "low.csv", "--shared")[1]
    assert "left out" not in out
    assert "share no example" in cli("eval", "other.csv", "--against", "low.csv", "--shared")[2]


def test_a_finished_evaluation_is_told_without_a_baseline(cli: Cli) -> None:
    Path("low.csv").write_text("id,score,epoch\ne1,1,1\ne1,0,2\n")
    code, out, _ = cli("eval", "low.csv", "--junit", "low.xml")
    assert (code, out.splitlines()[0]) == (0, "low: 50.0 [0.0, 100.0] (n=1)")
    assert "pass@2" in out and Path("low.xml").is_file()
    code, _, err = cli("eval", "low.csv", "--samples", "2")
    assert (code, "--samples 2: low.csv is a finished evaluation" in err) == (2, True)
    code, _, err = cli("eval", "low.csv", "--better")
    assert (code, "--better: there is nothing to be better than; add --against EVALUATION" in err) == (2, True)
    Path("folder").mkdir()
    assert "folder holds no run: config.json is missing" in cli("eval", "folder")[2]


def test_a_system_needs_a_name(cli: Cli) -> None:
    Path("low.csv").write_text("id,score\ne1,1\n")
    code, _, err = cli("leaderboard", "=low.csv")
    assert (code, "=low.csv: expected a name before the =, or the path alone" in err) == (2, True)


@pytest.mark.parametrize(("to", "file"), [("junit", "r.xml"), ("inspect", "r.eval"), ("model-index", "README.md")])
def test_export(cli: Cli, to: str, file: str) -> None:
    code, out, err = cli("export", f"mine={ours('ours', [1.0, 0.0, 1.0])}", "--to", to, "--out", file)
    assert (code, out) == (0, f"1 report in {file}\n"), err
    assert b"mine" in Path(file).read_bytes() or to == "inspect"


def test_export_of_other_tools_results(cli: Cli) -> None:
    words = ["export", str(DATA / "lm_eval"), "--task", "sums", "--out", "r.xml"]
    assert cli(*words, "--to", "junit")[0] == 0
    assert Path("r.xml").read_text().count("<testsuite ") == 2
    code, _, err = cli(*words, "--to", "excel")
    assert (code, "--to excel: expected one of model-index, inspect, junit, labels" in err) == (2, True)


def test_eval_writes_junit(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")[0] == 0
    code, out, _ = cli("eval", "runs/zero", "--junit", "out/junit.xml")
    assert (code, "junit: out/junit.xml" in out) == (0, True)
    assert 'tests="40" failures="10"' in Path("out/junit.xml").read_text()


def test_an_evaluation_that_stops_when_decided(cli: Cli, paint: list[str], server: tests_support.OpenAIServer) -> None:
    """Right on three of four: better than one of four, not worse than itself, worse than all; calls are counted."""
    words = ["--optimizer", "zero-shot", "--run", "zero", "--task-arg", "test=300"]
    assert cli("compile", *paint, *words)[0] == 0
    ids = [f"r{n}" for n in range(100, 400)]
    for name, right in (("low", 1), ("same", 3), ("high", 4)):
        # those that the model knows are 0, 1 and 2 of every four
        body = "".join(f"{id},{int(int(id[1:]) % 4 < right)}\n" for id in ids)
        Path(f"{name}.csv").write_text("id,score\n" + body)
    gate = ["eval", "runs/zero", "--stop-when-decided", "--against"]
    before = paid = len(server.requests)
    found: dict[str, str] = {}
    for name, margin, code in (("low", "1pt", 0), ("same", "20pt", 0), ("high", "1pt", 10)):
        ended, out, err = cli(*gate, f"{name}.csv", "--margin", margin, "--seed", len(found))
        assert ended == code, err
        found[name] = out.splitlines()[-1]
        met = int(found[name].split("after ")[1].split()[0])
        rows = Path("runs/zero-test-decided/rows.jsonl").read_bytes()
        assert (rows.count(b"\n"), f"(n={met} of 300" in out) == (met, True)
        assert len(server.requests) - paid <= met < 150
        paid = len(server.requests)
        report = Path("runs/zero-test-decided/report.json").read_bytes()
        assert cli(*gate, f"{name}.csv", "--margin", margin, "--seed", len(found) - 1)[0] == code
        assert (Path("runs/zero-test-decided/rows.jsonl").read_bytes(), len(server.requests)) == (rows, paid)
        assert Path("runs/zero-test-decided/report.json").read_bytes() == report
    assert "zero is better than low: +" in found["low"]
    assert "zero is not worse than same: +0.0" in found["same"]
    assert "zero is worse than high: -" in found["high"]
    assert not Path("runs/zero-test").exists()
    assert cli("verify", "runs/zero-test-decided")[0] == 0
    assert cli("eval", "runs/zero")[0] == 0
    assert len(server.requests) == before + 300  # what was met before is not asked again
    code, _, err = cli("leaderboard", "runs/zero-test", "other=runs/zero-test-decided")
    assert (code, "and 300, of which they share" in err, "--shared" in err) == (2, True, True)
    code, out, _ = cli("leaderboard", "runs/zero-test", "other=runs/zero-test-decided", "--shared")
    assert (code, "other: zero is worse than high" in out) == (0, True)
    assert cli(*gate, "same.csv", "--margin", "20pt", "--better")[0] == 12
    code, out, _ = cli(*gate, "same.csv", "--margin", "0.1pt")
    assert (code, "all 300 examples were met" in out.splitlines()[-1]) == (11, True)


def test_what_cannot_be_stopped(cli: Cli, paint: list[str]) -> None:
    mine = ours("mine", [1.0, 0.0, 1.0])
    code, _, err = cli("eval", mine, "--stop-when-decided", "--against", mine)
    assert (code, "runs/mine-test holds no program, so there is no call to be saved" in err) == (2, True)
    code, _, err = cli("eval", mine, "--stop-when-decided")
    assert (code, "add --against EVALUATION" in err) == (2, True)


def test_confidences_of_finished_evaluations(cli: Cli) -> None:
    lines = [f"{i},{int(i % 10 < 7)},a,{'90 %' if i else 'very'},90\n" for i in range(100)]
    Path("answers.csv").write_text("id,score,answer,confidence,sure\n" + "".join(lines))
    code, out, err = cli("eval", "answers.csv", "--confidence", "confidence")
    assert code == 0, err
    assert "answers: 70.0 [" in out
    assert "calibration of answers by confidence: error (ECE) 20.3 [" in out
    assert "left out: 1 whose confidence is no number, such as 'very'" in out
    assert out.endswith("diagram: answers-calibration.svg\n")
    assert Path("answers-calibration.svg").read_text().startswith("<svg")
    code, out, _ = cli("eval", "answers.csv", "--confidence", "sure", "--certain", "100", "--against", "answers.csv")
    assert (code, "by sure: error (ECE) 20.0" in out, "undecided" in out) == (11, True, True)
    code, _, err = cli("eval", "answers.csv", "--confidence", "sure")
    assert (code, "another number means certain, say so, e.g. certain=100" in err) == (2, True)


def test_confidences_of_a_program_that_has_none(cli: Cli, paint: list[str]) -> None:
    assert cli("compile", *paint, "--optimizer", "zero-shot", "--run", "zero")[0] == 0
    code, out, err = cli("eval", "runs/zero", "--confidence", "sure")
    assert (code, "rows: runs/zero-test/rows.jsonl" in out) == (2, True)
    assert "no answer of zero has a field 'sure': its outputs have 'colour'" in err


def test_a_gate_of_results_with_several_metrics(cli: Cli) -> None:
    log = DATA / "inspect" / "one.eval"
    code, _, err = cli("eval", log, "--against", log)
    assert (code, "--metric or --task chooses" in err) == (2, True)
    metric = read_results(log)[0].metric
    code, out, err = cli("eval", log, "--against", log, "--metric", metric, "--margin", "90pt")
    assert code in (0, 11), err
    assert " is " in out
    code, _, err = cli("eval", log, "--against", log, "--metric", "no such")
    assert code == 2


def test_what_a_tool_did_not_record_is_no_zero(cli: Cli) -> None:
    Path("timed.csv").write_text("id,score,seconds\ne0,1,2\ne1,0,4\ne2,1,3\n")
    assert cli("leaderboard", "timed.csv", ours("ours", [1.0, 0.0, 1.0]), "--rename", "score=exact")[0] == 0
    body = {s["system"]: s for s in json.loads(Path("leaderboard.json").read_text())["systems"]}
    assert (body["timed"]["usd_per_1000"], body["timed"]["prompt_tokens"]) == (None, None)
    assert body["timed"]["latency"]["p50"] == 3.0
    assert body["ours"]["prompt_tokens"] == 100
    line = next(line for line in Path("leaderboard.md").read_text().splitlines() if "| timed |" in line)
    assert line.count("–") >= 2
    code, out, _ = cli("leaderboard", "timed.csv")
    assert (code, "$/1000" in out, "p50 ms" in out) == (0, False, True)
