"""One compilation by several workers: the bytes of one, no call paid twice, a study to watch, whoever dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import commands
import fakes
import optuna
import pytest
import tests_support
from dstill.optimizers import Race, Where, compile
from dstill.runtime import BadInput, Budget, Session, lm_for
from dstill.runtime.fields import render_fields
from dstill.runtime.rundir import verify
from optuna.distributions import FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

RACE = Race(candidates=4, width=3, block=4, batch=12, pool=4, instructions=1)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("program.json", "report.json", "trials.jsonl")}


def crew(folder: Path, names: list[str], **options: Any) -> tuple[int, list[Any]]:
    """The calls that workers in threads made, and what they brought."""
    storage, engines = InMemoryStorage(), [fakes.painter(seconds=0.002) for _ in names]

    def work(name: str, engine: Any) -> Any:
        where = Where(folder / name / "r", storage=storage)
        return compile(fakes.task(dev=40), engine, RACE, run=where, concurrency=3, **options)

    with ThreadPoolExecutor(len(names)) as pool:
        made = [done.result() for done in [pool.submit(work, *each) for each in zip(names, engines, strict=True)]]
    return sum(engine.calls for engine in engines), made


@pytest.mark.parametrize("budget", [None, Budget(calls=60), Budget(tokens=9000)])
def test_workers_end_with_the_bytes_of_one_and_pay_as_one(tmp_path: Path, budget: Budget | None) -> None:
    engine = fakes.painter()
    one = compile(fakes.task(dev=40), engine, RACE, budget, run=tmp_path / "one" / "r")
    calls, made = crew(tmp_path, ["a", "b", "c"], budget=budget)
    for name in ("a", "b", "c"):
        assert files(tmp_path / name / "r") == files(tmp_path / "one" / "r")
        assert verify(tmp_path / name / "r") == []
    assert [each.verdict for each in made] == [one.verdict] * 3
    if budget is None:
        assert calls == engine.calls
    elif budget.calls is not None:
        assert calls <= budget.calls


def test_in_one_directory_one_worker_writes(tmp_path: Path) -> None:
    compile(fakes.task(dev=40), engine := fakes.painter(), RACE, run=tmp_path / "one" / "r")
    calls, made = crew(tmp_path, ["same", "same"])
    assert calls == engine.calls
    assert [each.folder for each in made] == [tmp_path / "same" / "r"] * 2
    assert files(tmp_path / "same" / "r") == files(tmp_path / "one" / "r")
    assert verify(tmp_path / "same" / "r") == []


def test_a_search_is_a_study_while_it_lasts_and_afterwards(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    url = f"sqlite:///{tmp_path / 'study.db'}"

    def look() -> None:
        for name in optuna.get_all_study_names(url):
            if not name.endswith("calls"):
                seen.append({trial.state.name for trial in optuna.load_study(study_name=name, storage=url).trials})

    lock = threading.Lock()

    def metric(example: Any, prediction: Any) -> float:
        with lock:
            if len(seen) < 12:
                look()
        return float(example.colour == prediction.colour)

    task = replace(fakes.task(dev=16, metric=metric), knobs={"temperature": FloatDistribution(0, 1)})
    made = compile(task, fakes.painter(), RACE, run=Where(tmp_path / "r", storage=url))
    assert {"RUNNING"} <= set().union(*seen)
    name, book = sorted(optuna.get_all_study_names(url), key=len)
    assert book == f"{name} calls"
    study = optuna.load_study(study_name=name, storage=url)
    trials = made.explain().trials
    assert made.evidence is not None
    assert [study.user_attrs[key] for key in ("best", "verdict")] == [made.evidence.best, made.verdict]
    assert len(study.trials) == len(trials)
    for ours, theirs in zip(trials, study.trials, strict=True):
        assert theirs.state == (TrialState.PRUNED if ours.decision == "dropped" else TrialState.COMPLETE)
        assert theirs.value == pytest.approx(ours.mean)
        assert theirs.user_attrs["candidate"] == ours.candidate.dump()
        assert theirs.user_attrs["met"] == ours.met
        assert theirs.params.get("temperature") == ours.candidate.knobs.get("temperature")
    told = optuna.load_study(study_name=book, storage=url).trials
    assert {trial.state for trial in told} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert sum(trial.state == TrialState.COMPLETE for trial in told) >= 16


def test_a_finished_run_done_again_asks_nobody(tmp_path: Path) -> None:
    where = Where(tmp_path / "r", storage=str(tmp_path / "study.log"))
    compile(fakes.task(dev=24), fakes.painter(), RACE, run=where)
    before = files(tmp_path / "r")
    compile(fakes.task(dev=24), engine := fakes.painter(), RACE, run=where)
    assert engine.calls == 0
    assert files(tmp_path / "r") == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimizer": "k-shot"}, "needs the optimizer race; k-shot"),
        ({"budget": Budget(seconds=9)}, "cap of 9 seconds"),
        ({"session": Session()}, "a run of its own"),
    ],
)
def test_what_cannot_be_shared_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    where = Where(tmp_path / "r", options.pop("session", None), storage=InMemoryStorage())
    with pytest.raises(BadInput, match=said):
        compile(fakes.task(), fakes.painter(), run=where, **options)


def painting(handler: Any, body: dict[str, Any]) -> None:
    """A slow painter that can write instructions too."""
    threading.Event().wait(0.05)
    if "`instruction`" not in str(body["messages"][0]["content"]):
        return fakes.painting(handler, body)
    drawn = zlib.crc32(json.dumps(body, sort_keys=True).encode()) % 2
    reply = render_fields({"instruction": ["Look twice.", "Guess."][drawn]}) + "\n\n[[ ## completed ## ]]"
    return tests_support.answer(reply)(handler, body)


SCRIPT = textwrap.dedent("""
    import sys
    from dstill.runtime import workers
    workers.SILENCE = float(sys.argv[4])
    import fakes
    from dstill.optimizers import Race, Where, compile
    from dstill.runtime import lm_for
    folder, url, storage = sys.argv[1:4]
    race = Race(candidates=4, width=3, block=4, batch=12, pool=4, instructions=1)
    where = Where(folder, storage=storage)
    compile(fakes.task(dev=20), lm_for("openai/painter", base_url=url), race, concurrency=3, run=where)
""")


def alone(folder: Path, server: tests_support.OpenAIServer) -> int:
    """The calls of one worker, in this process and without a storage."""
    server.script = [painting]
    compile(fakes.task(dev=20), lm_for("openai/painter", base_url=server.url), RACE, concurrency=3, run=folder)
    calls = len(server.requests)
    server.requests.clear()
    return calls


def start(folder: Path, url: str, storage: str, silence: float = 60) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", SCRIPT, str(folder), url, storage, str(silence)]
    return subprocess.Popen(words, env={**os.environ, "PYTHONPATH": commands.SUPPORT, "OPENAI_API_KEY": "none"})


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Starts Optuna's gRPC proxy before an SQLite database."""
    made: list[Any] = []

    def serve() -> str:
        pytest.importorskip("grpc")
        from optuna.storages._grpc.server import make_server

        for port in range(23000, 23100):
            storage = optuna.storages.get_storage(f"sqlite:///{tmp_path / 'proxy.db'}")
            try:
                server = make_server(storage, "localhost", port)
            except RuntimeError:
                continue
            server.start()
            made.append(server)
            return f"grpc://localhost:{port}"
        raise AssertionError("no port is free")

    yield serve
    for server in made:
        server.stop(None).wait()


@pytest.mark.parametrize("kind", ["sqlite", "grpc"])
def test_processes_pay_once_and_end_with_the_bytes_of_one(
    server: tests_support.OpenAIServer, proxy: Callable[[], str], tmp_path: Path, kind: str
) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}" if kind == "sqlite" else proxy()
    calls = alone(tmp_path / "one" / "r", server)
    workers = [start(tmp_path / name / "r", server.url, storage) for name in "ab"]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(server.requests) == calls
    assert max(Counter(json.dumps(body, sort_keys=True) for body in server.requests).values()) == 1
    assert files(tmp_path / "a" / "r") == files(tmp_path / "b" / "r") == files(tmp_path / "one" / "r")


def test_a_worker_that_is_killed_leaves_the_others_the_result(
    server: tests_support.OpenAIServer, tmp_path: Path
) -> None:
    calls = alone(tmp_path / "one" / "r", server)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    killed, *others = [start(tmp_path / name / "r", server.url, storage, silence=10) for name in "abc"]
    commands.wait_for(lambda: len(server.requests) > calls // 3)
    killed.kill()
    assert killed.wait() != 0
    assert [worker.wait() for worker in others] == [0, 0]
    again = Counter(json.dumps(body, sort_keys=True) for body in server.requests)
    assert len(again) == calls
    assert sum(again.values()) <= calls + 5  # what each thread of the killed one had in flight, or not yet told
    assert files(tmp_path / "b" / "r") == files(tmp_path / "c" / "r") == files(tmp_path / "one" / "r")
