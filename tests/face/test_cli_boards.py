"""``dstill leaderboard`` and its commands, as a user types them."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Cli, start
from dstill.runtime import RunDir
from outcomes import report


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Evaluations as ``dstill eval`` leaves them, and a run that holds two."""
    monkeypatch.chdir(tmp_path)
    asked = tuple({"question": f"How much is {i}?"} for i in range(20))
    for place, scores in (
        ("a", [1.0, 0.0] * 10), ("b", [1.0] * 15 + [0.0] * 5), ("demo/eval-c", [0.0] * 20), ("demo/eval-d", [1.0] * 20),
    ):  # fmt: skip
        found = replace(report(place.rpartition("-")[2], scores), examples=asked)
        with RunDir(tmp_path / "runs" / place, kind="eval", config={"x": place}) as out:
            found.save(out)
            out.finish()
    return tmp_path / "runs"


def test_a_board_of_runs_needs_no_command(cli: Cli, runs: Path) -> None:
    code, out, _ = cli("leaderboard", "runs/a", "runs/b", "--out", "boards")
    assert code == 0
    assert "Gain over a" in out and "leaderboard: boards/leaderboard.html" in out
    assert "How much is 3?" in Path("boards/leaderboard.html").read_text()
    assert cli("leaderboard", "--baseline", "b", "runs/a", "runs/b")[1].count("Gain over b") == 1
    assert cli("leaderboard", "show", "runs/a")[0] == 0
    code, out, _ = cli("leaderboard", "runs/demo", "--baseline", "c")
    assert code == 0
    assert re.search(r"d +100\.0 .*c +0\.0", out, re.S)
    code, _, err = cli("leaderboard", "nowhere")
    assert (code, "nowhere does not exist; expected an evaluation's directory" in err) == (2, True)
    assert cli("leaderboard", "--nothing")[0] == 2


@pytest.mark.parametrize("command", ["", "add", "check", "serve", "show"])
def test_help_of_each_gives_an_example(cli: Cli, command: str) -> None:
    code, out, _ = cli("leaderboard", *command.split(), "--help")
    assert code == 0
    example = " ".join(out.split("Example:")[1].split())
    assert example.startswith(f"dstill leaderboard {'' if command == 'show' else command}".strip())


def test_add_check_and_show(cli: Cli, runs: Path) -> None:
    code, out, _ = cli("leaderboard", "add", "runs/a", "runs/demo", "--board", "boards/sums", "--version", "v1")
    assert code == 0
    assert out.startswith("v1: a on sums test: 50.0")
    assert "boards/sums: 3 entries, head " in out
    head = re.findall("head ([0-9a-f]{64})", out)[0]
    code, out, _ = cli("leaderboard", "add", "runs/a", "--board", "boards/sums", "--version", "v1")
    assert (code, out.startswith("v1 was there already: a on sums test")) == (0, True)
    code, out, _ = cli("leaderboard", "add", "a=runs/b", "--board", "boards/sums")
    assert code == 0
    assert out.startswith("#4: a on sums test: 75.0")
    code, out, _ = cli("leaderboard", "check", "boards/sums", "--head", head[:12])
    assert code == 0
    assert re.search(r"4 entries of 3 systems as they were added; \d+ figures are what the rows give; head ", out)
    code, out, _ = cli("leaderboard", "boards/sums")
    assert code == 0
    assert "History" in out and re.search(r"a +#4 .* 20 +75\.0", out)
    assert not Path("leaderboard.html").exists()
    rows = "".join(f"e{i},{i % 2}\n" for i in reversed(range(20)))  # in another order, and without a task or a split
    Path("people.csv").write_text(f"id,exact\n{rows}")
    code, out, _ = cli("leaderboard", "add", "people.csv", "--board", "boards/sums")
    assert (code, out.splitlines()[0]) == (0, "#5: people on sums test: 50.0 [29.9, 70.1] (n=20)")
    assert cli("leaderboard", "check", "boards/sums")[0] == 0


def test_check_ends_with_5_and_names_the_figure(cli: Cli, runs: Path) -> None:
    assert cli("leaderboard", "add", "runs/a", "--board", "board")[0] == 0
    file = Path("board/leaderboard.json")
    body = json.loads(file.read_text())
    body["systems"][0]["score"]["value"] = 0.9
    file.write_text(json.dumps(body))
    code, out, err = cli("leaderboard", "check", "board")
    assert (code, out) == (5, "")
    assert "board is not what was added to it" in err
    assert "leaderboard.json has changed since it was made" in err
    assert "systems[0].score.value = 0.9, and the rows (board/entries/0001-a/rows.jsonl) give 0.5" in err
    code, _, err = cli("leaderboard", "check", "runs/a")
    assert (code, "there is no board in runs/a" in err) == (2, True)


def test_other_examples_are_refused_and_the_way_out_is_named(cli: Cli, runs: Path) -> None:
    with RunDir(runs / "fewer", kind="eval", config={}) as out:
        report("fewer", [1.0] * 5).save(out)
        out.finish()
    for words in (("leaderboard",), ("leaderboard", "add", "--board", "board")):
        code, _, err = cli(*words, "runs/a", "runs/fewer")
        assert (code, "5 and 20, of which they share 5" in err, "--shared" in err) == (2, True, True)
        code, out, _ = cli(*words, "runs/a", "runs/fewer", "--shared")
        assert code == 0
    assert "15 examples are left out" in cli("leaderboard", "board")[1]


def test_serve_is_on_this_machine_until_ctrl_c(runs: Path, cli: Cli) -> None:
    assert cli("leaderboard", "add", "runs/a", "--board", "board")[0] == 0
    code, _, err = cli("leaderboard", "serve", "runs")
    assert (code, "there is no board in runs" in err) == (2, True)
    process = start(runs.parent, "leaderboard", "serve", "board", "--port", "0")
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.read() == Path("board/leaderboard.html").read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr is not None and "no longer served" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
