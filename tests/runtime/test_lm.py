"""The door, and DSPy's LM before it: once per request, samples by index, the short path equal to the long one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import orjson
import pytest
from dspy.lm15 import Message, RateLimitError, Request, Response, TextPart, Usage
from dstill.runtime import LM, Budget, BudgetExhausted, Journal, Meter, Retry, ScriptedEngine, Session
from dstill.runtime.adapters import ChatAdapter
from dstill.runtime.wire import request_of_chat, request_of_wire, settings_of, wire_of, wire_of_chat

REPLY = "[[ ## team ## ]]\nbilling\n\n[[ ## completed ## ]]"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with dspy.context(disable_history=True, adapter=ChatAdapter()):
        yield


def test_the_same_request_is_answered_once(tmp_path: Path) -> None:
    engine = ScriptedEngine(["a", "b"])
    lm = LM(engine, Session(Journal(tmp_path / "j")))
    assert [lm("hello"), lm("hello"), lm("other")] == [["a"], ["a"], ["b"]]
    assert engine.calls == 2
    again = LM(ScriptedEngine(["never"] * 2, name="scripted"), Session(Journal(tmp_path / "j")))
    again.door.__dict__["identity"] = lm.door.identity
    assert again("hello") == ["a"]


def test_another_model_is_another_call(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    one = LM(ScriptedEngine(["one"]), Session(journal))
    two = LM(ScriptedEngine(["two"]), Session(journal))
    assert one("hello") == ["one"]
    assert two("hello") == ["two"]


def test_concurrent_equal_requests_share_one_flight() -> None:
    engine = ScriptedEngine(lambda request: REPLY, seconds=0.1)
    lm = LM(engine)
    predict = dspy.Predict("message -> team")
    found: list[str] = []

    def work() -> None:
        with dspy.context(lm=lm, disable_history=True, adapter=ChatAdapter()):
            found.append(predict(message="same").team)

    threads = [threading.Thread(target=work) for _ in range(64)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert found == ["billing"] * 64
    assert engine.calls == 1
    assert lm.door.session.ledger.spent.calls == 1


def test_a_failed_flight_fails_for_all_who_shared_it_and_is_tried_anew_later() -> None:
    engine = ScriptedEngine([ValueError("bug"), "fine"], seconds=0.05)
    lm = LM(engine)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with dspy.context(disable_history=True):
                lm("x")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(errors) == 8
    assert engine.calls == 1
    assert lm("x") == ["fine"]


def test_samples_are_told_apart_by_rollout_and_by_n() -> None:
    engine = ScriptedEngine([str(n) for n in range(10)])
    lm = LM(engine)
    assert lm("x", n=3, temperature=1.0) == ["0", "1", "2"]
    assert lm("x", temperature=1.0) == ["0"]
    assert lm("x", temperature=1.0, rollout_id=7) == ["3"]
    assert lm("x", n=2, temperature=1.0, rollout_id=7) == ["3", "4"]
    assert asyncio.run(lm.acall("x", n=3, temperature=1.0)) == ["0", "1", "2"]
    assert engine.calls == 5


def test_greedy_samples_of_a_repeatable_model_are_one_call() -> None:
    engine = ScriptedEngine(["0", "1"], repeatable=True)
    lm = LM(engine)
    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        lm(messages=[{"role": "user", "content": "x"}], rollout_id=5)
        lm(messages=[{"role": "user", "content": "x"}], rollout_id=6)
    assert engine.calls == 1
    assert predict.signature.instructions


def test_a_sampled_request_to_a_repeatable_model_carries_a_seed_from_its_key() -> None:
    seeds: list[int | None] = []

    def script(request: Request) -> str:
        seeds.append(request.config.seed)
        return "ok"

    for _ in range(2):
        lm = LM(ScriptedEngine(script, repeatable=True))
        lm(messages=[{"role": "user", "content": "x"}], temperature=1.0, rollout_id=1)
        lm(messages=[{"role": "user", "content": "x"}], temperature=1.0, rollout_id=2)
    assert seeds[:2] == seeds[2:]
    assert len(set(seeds)) == 2


CHATS = [
    [{"role": "user", "content": "x"}],
    [{"role": "system", "content": "s"}, {"role": "user", "content": 'ünï → 日本 \n\t"quotes"'}],
    [
        {"role": "system", "content": " "},
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"},
    ],
]


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "max_tokens": 9, "stop": ["a"]}])
def test_the_short_canonical_form_is_the_long_one(chat: list[dict[str, str]], settings: dict[str, Any]) -> None:
    from dspy.lm15 import Config, request_from_openai_chat

    config = Config(**settings)
    long = request_from_openai_chat({"model": "m", "messages": chat, **settings})
    short = request_of_chat("m", chat, config)
    assert wire_of(long) == wire_of(short) == wire_of_chat(chat, settings_of(config))
    assert request_of_wire(wire_of(long), "m") == long


def test_the_short_path_asks_and_returns_what_the_long_one_does() -> None:
    seen: list[Request] = []

    def script(request: Request) -> str:
        seen.append(request)
        return REPLY

    predict = dspy.Predict("message, note -> team")
    predict.demos = [dspy.Example(message="m", note="n", team="sales"), dspy.Example(message="only", team="x")]
    results = []
    for watched in (False, True):
        lm = LM(ScriptedEngine(script), temperature=0.5)
        with dspy.context(lm=lm, disable_history=not watched):
            results.append(predict(message="hello", note="world", config={"max_tokens": 77}).toDict())
    assert results[0] == results[1]
    assert seen[0] == seen[1]
    assert seen[0].config.max_tokens == 77


def test_an_answer_that_is_more_than_text_survives_the_journal(tmp_path: Path) -> None:
    from dspy.lm15 import ToolCallPart

    class Tools(ScriptedEngine):
        def complete(self, request: Request) -> Response:
            self.calls += 1
            parts = (TextPart("let me see"), ToolCallPart(id="1", name="look", input={"at": "it"}))
            return Response(
                id=None, model="m", message=Message("assistant", parts), finish_reason="tool_call",
                usage=Usage(input_tokens=1, output_tokens=2),
            )  # fmt: skip

    for _ in range(2):
        engine = Tools(["x"])
        lm = LM(engine, Session(Journal(tmp_path / "j")))
        (out,) = lm(messages=[{"role": "user", "content": "x"}])
        assert out["text"] == "let me see"
        assert out["tool_calls"][0]["function"]["name"] == "look"
    assert engine.calls == 0


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="valid Unicode"):
        LM(ScriptedEngine(["x"]))(messages=[{"role": "user", "content": "\ud800"}])


def test_a_budget_ends_calls_and_dspy_cannot_swallow_it() -> None:
    engine = ScriptedEngine(lambda request: REPLY)
    lm = LM(engine, Session(budget=Budget(calls=5)))
    devset = [dspy.Example(message=str(n), team="billing").with_inputs("message") for n in range(50)]
    evaluate = dspy.Evaluate(devset=devset, metric=lambda e, p: 1.0, num_threads=16)
    with dspy.context(lm=lm), pytest.raises(BudgetExhausted):
        evaluate(dspy.Predict("message -> team"))
    assert engine.calls == 5


def test_a_resumed_run_counts_what_it_already_paid_and_another_run_does_not(tmp_path: Path) -> None:
    def ask(run: str, numbers: range) -> tuple[int, int, Session]:
        engine = ScriptedEngine(["x"])
        session = Session(Journal(tmp_path / "j"), run=run, budget=Budget(calls=6))
        lm = LM(engine, session)
        for n in numbers:
            lm(f"question {n}")
        return engine.calls, session.ledger.spent.calls, session

    assert ask("first", range(4))[:2] == (4, 4)
    assert ask("first", range(6))[:2] == (2, 6)
    calls, spent, session = ask("second", range(6))
    assert (calls, spent) == (0, 0)
    assert session.usage.free == 6
    with pytest.raises(BudgetExhausted):
        ask("first", range(7))


def test_a_resumed_run_keeps_room_for_paid_calls_that_it_meets_late(tmp_path: Path) -> None:
    """Killed in the middle of a round, a run has paid for calls that its next session comes to only after new ones."""
    engine = ScriptedEngine(["x"])

    def ask(numbers: range) -> Session:
        session = Session(parent=Session(Journal(tmp_path / "j"), budget=Budget(calls=6)), run="r/search")
        lm = LM(engine, session)
        for n in numbers:
            lm(f"question {n}")
        return session

    ask(range(4, 8))
    with pytest.raises(BudgetExhausted):
        ask(range(8))
    assert engine.calls == 6
    last = ask(range(4, 8))
    assert (engine.calls, last.ledger.spent.calls) == (6, 4)


def test_a_session_keeps_its_own_journal_though_it_is_empty() -> None:
    journal = Journal()
    assert Session(journal, parent=Session()).journal is journal


def test_a_meter_adds_up_calls_made_anywhere_on_behalf_of_an_example() -> None:
    lm = LM(ScriptedEngine(lambda r: REPLY, input_pico=1000))
    meter = Meter()
    with dspy.context(lm=lm, dstill_meter=meter):
        dspy.Parallel(num_threads=4, disable_progress_bar=True)(
            [(dspy.Predict("message -> team"), dspy.Example(message=str(n)).with_inputs("message")) for n in range(6)]
        )
    assert meter.calls == 6
    assert meter.pico == lm.door.session.ledger.spent.pico > 0


def test_a_whole_programs_run_has_samples_of_its_own_by_every_path() -> None:
    lm = LM(ScriptedEngine(lambda r: REPLY, repeatable=True), temperature=1.0)
    samples = []
    for run in (0, 1, 2):
        with dspy.context(dstill_sample=run, disable_history=True):
            lm("x")  # the short path
            lm("x", rollout_id=1)
        with dspy.context(dstill_sample=run):
            lm("x", n=2)  # the long path, whose answers beyond the first are further samples
            asyncio.run(lm.acall("y"))
        with dspy.context(lm=lm, dstill_sample=run):
            asked = [(dspy.Predict("message -> team"), dspy.Example(message="z").with_inputs("message"))]
            dspy.Parallel(num_threads=2, disable_progress_bar=True)(asked)  # a thread of DSPy's
        samples.append(len(lm.door.session.journal))
    assert samples == [5, 10, 15]


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_seed_of_the_callers_is_that_of_the_first_sample(repeatable: bool) -> None:
    seen: list[int | None] = []

    def script(request: Request) -> str:
        seen.append(request.config.seed)
        return "a"

    lm = LM(ScriptedEngine(script, repeatable=repeatable), temperature=1.0, seed=7)
    lm("x", n=3)
    lm("x", rollout_id=2)
    lm(messages=[{"role": "user", "content": "y"}])
    lm(messages=[{"role": "user", "content": "y"}], rollout_id=1)
    assert seen[0] == 7 and seen.count(7) == 2 and len(set(seen)) == 5
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seen)


def test_a_model_is_opened_again_with_all_its_settings() -> None:
    settings = {"temperature": 0.5, "logit_bias": {"5": 1}, "stop": ["x"], "response_format": dict}
    spec = LM(ScriptedEngine(["a"]), **settings).spec
    assert {name: spec["settings"].get(name) for name in settings} == {**settings, "response_format": None}
    assert orjson.loads(orjson.dumps(spec)) == spec


def test_retries_wait_with_jitter_honour_the_provider_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    engine = ScriptedEngine([RateLimitError("slow down"), RateLimitError("slow down"), "ok"])
    lm = LM(engine)
    assert lm("x") == ["ok"]
    assert 0.25 <= waits[0] < 0.5 <= waits[1] < 1.0
    assert lm.door.session.ledger.spent.calls == 1

    policy = Retry(attempts=3, longest=10)
    assert policy.wait(1, 4.0, b"k") == 4.0
    assert policy.wait(1, 11.0, b"k") is None
    assert policy.wait(3, None, b"k") is None
    assert policy.wait(1, None, b"k") == policy.wait(1, None, b"k") != policy.wait(1, None, b"other")


def test_a_program_with_its_lm_is_copied_and_saved_as_plain_dspy(tmp_path: Path) -> None:
    program = dspy.ChainOfThought("question -> answer")
    program.set_lm(LM(ScriptedEngine(["x"], name="openai/gpt-4.1-mini"), temperature=0.3))
    copied = program.deepcopy()
    assert copied.predict.lm is program.predict.lm
    program.save(tmp_path / "p.json")
    plain = dspy.ChainOfThought("question -> answer")
    plain.load(tmp_path / "p.json")
    assert type(plain.predict.lm) is dspy.LM
    assert plain.predict.lm.kwargs["temperature"] == 0.3
