"""Threads that answer: how many cores each has, how calls are shared out, and what becomes of failures."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import ask_together, request, texts
from dstill.runtime.engines.local.batcher import Batcher, in_one_go
from dstill.runtime.engines.local.causal import WORKERS, CausalEngine
from dstill.runtime.engines.local.threads import use_cores


@pytest.mark.parametrize("kind", ["lfm2", "llama"])
def test_several_threads_give_the_answers_of_one(
    folders: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [request(text, max_tokens=20, temperature=n % 2, seed=n) for n, text in enumerate(texts(28))]
    alone = CausalEngine(folders[kind])
    expected = [alone.complete(each).text for each in requests]
    assert alone.cores() == (1,)
    monkeypatch.setattr("dstill.runtime.engines.local.causal.TINY", 10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 9)
    together = CausalEngine(folders[kind], batch=16)
    assert together.cores() == (2,) * WORKERS
    served, serve = set(), together._batcher._serve
    together._batcher._serve = lambda calls, lane: served.add(lane) or serve(calls, lane)  # type: ignore[func-returns-value]
    assert [each.text for each in ask_together(together, requests)] == expected
    assert len(served) == together._batcher.workers == WORKERS
    monkeypatch.setattr("dstill.runtime.engines.local.causal.SMALL", 10)
    assert CausalEngine(folders[kind]).cores() == (9,)
    for engine in (alone, together):
        engine.close()


def test_a_thread_uses_as_many_cores_as_it_is_told_and_no_other_one_does() -> None:
    whole = torch.get_num_threads()
    found: list[int] = []

    def work(cores: int | None) -> None:
        if cores:
            use_cores(cores)
        found.append(torch.get_num_threads())

    torch.set_num_threads(6)
    try:
        for cores in (3, 1, 6, None):
            thread = threading.Thread(target=work, args=[cores])
            thread.start()
            thread.join()
        assert found == [3, 1, 6, 6]
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(whole)


def test_calls_are_shared_out_evenly() -> None:
    held, seen = threading.Event(), []

    def serve(calls: Any, lane: Any) -> None:
        seen.append(calls)
        held.wait()
        for call in calls:
            call.finish(call.item)

    batcher: Batcher[int, int] = Batcher(serve, most=8, cores=lambda: (1, 1))
    threads = [threading.Thread(target=batcher, args=(n,)) for n in range(2)]
    [t.start() for t in threads]
    while len(seen) < 2:
        time.sleep(0.001)
    assert [len(calls) for calls in seen] == [1, 1]
    threads += [threading.Thread(target=batcher, args=(n,)) for n in range(2, 9)]
    [t.start() for t in threads[2:]]
    while len(batcher._queue) < 7:
        time.sleep(0.001)
    lanes = batcher._lanes
    assert [lane.waiting for lane in lanes] == [4, 4]
    assert len(lanes[0].take(3)) == 3
    assert [(lane.at_work, lane.waiting, lane.room) for lane in lanes] == [(4, 1, 4), (1, 4, 4)]
    for lane in lanes:
        [call.finish(call.item) for call in lane.take(9)]
    held.set()
    [call.finish(call.item) for call in lanes[0].taken]
    [t.join() for t in threads]
    batcher.close()


def test_a_batcher_isolates_failures_and_closes() -> None:
    sizes: list[int] = []

    def work(items: Any) -> Any:
        sizes.append(len(items))
        return [ValueError(f"bad {n}") if n % 3 == 0 else n * 2 for n in items]

    batcher: Batcher[int, int] = Batcher(in_one_go(work), most=8)
    found: dict[int, Any] = {}

    def ask(n: int) -> None:
        try:
            found[n] = batcher(n)
        except ValueError as error:
            found[n] = str(error)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(30)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert found == {n: f"bad {n}" if n % 3 == 0 else n * 2 for n in range(30)}
    assert max(sizes) <= 8
    batcher.close()
    with pytest.raises(RuntimeError, match="closed"):
        batcher(1)
