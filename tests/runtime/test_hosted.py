"""Hosted engines against a real HTTP server that speaks the OpenAI protocol and misbehaves."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import threading
import time
from pathlib import Path

import dspy
import pytest
from dspy import lm15
from dstill.eval import evaluate
from dstill.programs.metrics import exact
from dstill.runtime import LM, BadInput, Budget, BudgetExhausted, Journal, ModelUnavailable, Retry, Session, lm_for
from dstill.runtime.door import Door
from dstill.runtime.engines.hosted import HostedEngine
from dstill.runtime.errors import Unbounded, causes
from dstill.runtime.internals import LMError
from dstill.runtime.secrets import redact
from dstill.runtime.session import Replay
from tests_support import Behaviour, OpenAIServer, answer, cut, error, garbage, hang, html


def connect(server: OpenAIServer, session: Session | None = None, *, timeout: float = 5.0, attempts: int = 3) -> LM:
    lm = LM(HostedEngine("tiny", base_url=server.url, timeout=timeout, prices=(1.0, 2.0)), session)
    lm.door._retry = Retry(attempts=attempts, first=0.05, longest=3.0)
    return lm


def test_an_answer_with_its_usage_and_price(server: OpenAIServer) -> None:
    server.script = [answer("hi", read=1000, written=100)]
    lm = connect(server)
    assert lm("hello", temperature=0.25) == ["hi"]
    assert server.requests[0]["temperature"] == 0.25
    assert server.requests[0]["model"] == "tiny"
    assert lm.door.session.ledger.spent.tokens == 1100
    assert lm.door.session.ledger.spent.usd == pytest.approx((1000 * 1.0 + 100 * 2.0) / 1e6)


def test_retry_after_is_honoured_and_holds_back_everybody(server: OpenAIServer) -> None:
    server.script = [error(429, Retry_After="1"), answer("ok")]
    lm = connect(server)
    threads = [threading.Thread(target=lm, args=("first",))]
    threads[0].start()
    while not lm.door._gate._until:
        time.sleep(0.01)
    threads.append(threading.Thread(target=lm, args=("second",)))
    threads[1].start()
    [t.join() for t in threads]
    assert len(server.times) == 3
    assert all(later - server.times[0] >= 0.99 for later in server.times[1:])
    assert lm.door.session.ledger.spent.calls == 2


def test_a_wait_that_is_too_long_ends_the_call(server: OpenAIServer) -> None:
    server.script = [error(429, Retry_After="3600")]
    with pytest.raises(LMError) as caught:
        connect(server)("x")
    assert type(caught.value).__name__ == "LMRateLimitError"
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1


def test_a_failing_server_is_tried_again_and_costs_nothing(server: OpenAIServer) -> None:
    server.script = [error(500), error(503), answer("ok")]
    lm = connect(server)
    assert lm("x") == ["ok"]
    assert lm.door.session.ledger.spent.calls == 1


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_call_that_is_refused_leaves_its_example_unscored_and_the_others_go_on(
    server: OpenAIServer, status: int
) -> None:
    refused, fine = error(status, message="filtered"), answer("[[ ## team ## ]]\na\n\n[[ ## completed ## ]]")
    server.script = [lambda handler, body: (refused if "number 3" in str(body["messages"]) else fine)(handler, body)]
    examples = [dspy.Example(text=f"number {n}", team="a").with_inputs("text") for n in range(6)]
    lm = connect(server, attempts=1)
    report = evaluate(dspy.Predict("text -> team"), examples, exact("team"), lm)
    assert [row.status for row in report.rows] == ["scored"] * 3 + ["unscored"] + ["scored"] * 2
    assert report.failures == {"lm": 1}
    with pytest.raises(LMError) as caught, dspy.context(disable_history=True):
        lm(messages=[{"role": "user", "content": "number 3"}], rollout_id=7)
    assert caught.value.__cause__ is not caught.value


def test_an_error_that_is_its_own_cause_is_walked_once() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert list(causes(one)) == [one, two]


def test_half_a_character_in_an_answer_is_stored_once_and_read_as_a_question_mark(
    server: OpenAIServer, tmp_path: Path
) -> None:
    server.script = [answer("good \ud83d")]
    for _ in range(2):
        lm = connect(server, Session(Journal(tmp_path / "j"), run="r"))
        assert lm("x") == ["good ?"]
        lm.door.session.journal.close()
    assert len(server.requests) == 1


def test_a_server_that_keeps_failing_is_given_up_after_the_last_attempt(server: OpenAIServer) -> None:
    server.script = [error(500)]
    lm = connect(server, attempts=3)
    with pytest.raises(LMError) as caught:
        lm("x")
    assert type(caught.value).__name__ == "LMServerError"
    assert len(server.requests) == 3
    assert lm.door.session.ledger.spent.calls == 0


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [(hang(3.0), "LMTransportError"), (cut, "LMTransportError"), (garbage, None), (html, None)],
    ids=["hang", "cut", "garbage", "html"],
)
def test_an_answer_that_is_lost_may_have_been_billed_and_counts(
    server: OpenAIServer, tmp_path: Path, behaviour: Behaviour, kind: str | None
) -> None:
    server.script = [behaviour]
    session = Session(Journal(tmp_path / "j"), run="r")
    lm = connect(server, session, timeout=0.5, attempts=2)
    with pytest.raises(LMError) as caught:
        lm("x", max_tokens=50)
    assert kind is None or type(caught.value).__name__ == kind
    lost = session.ledger.spent
    assert lost.calls == len(server.requests)
    assert lost.tokens >= 50
    assert Session(Journal(tmp_path / "j"), run="r").ledger.spent == lost
    server.script = [answer("recovered")]
    assert connect(server, session)("x", max_tokens=50) == ["recovered"]


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (error(401, message="Incorrect API key provided: sk-abcdefghijklmnopqrst."), "tiny"),
        (error(404, code="model_not_found", message="The model `tiny` does not exist"), "does not exist"),
        (error(429, code="insufficient_quota", message="You exceeded your current quota"), "quota"),
    ],
    ids=["key", "model", "quota"],
)
def test_what_would_fail_every_call_stops_at_once_and_shows_no_key(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, words: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "my-very-secret-value")
    server.script = [behaviour]
    with pytest.raises(ModelUnavailable, match=words) as caught:
        connect(server)("x")
    assert len(server.requests) == 1
    assert "sk-abcdef" not in str(caught.value)
    assert "my-very-secret-value" not in str(caught.value)
    assert "my-very-secret-value" in server.headers[0]["Authorization"]


def test_a_server_that_is_not_there_is_named_and_costs_nothing() -> None:
    session = Session()
    lm = LM(HostedEngine("tiny", base_url="http://127.0.0.1:9/v1"), session)
    lm.door._retry = Retry(attempts=2, first=0.01)
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9"):
        lm("x")
    assert session.ledger.spent.calls == 0


def test_a_missing_key_is_a_clear_message_that_names_the_variable() -> None:
    with pytest.raises(ModelUnavailable, match=r"openai/gpt-4\.1-mini.*OPENAI_API_KEY"):
        lm_for("openai/gpt-4.1-mini")("hello")


def test_keys_stay_out_of_everything_that_is_written(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk-proj-0123456789abcdefghij"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.script = [answer("fine"), error(500, message=f"bad {key}"), garbage]
    session = Session(Journal(tmp_path / "j"), run="r")
    lm = connect(server, session, attempts=1)
    lm("one")
    for prompt in ("two", "three"):
        with pytest.raises(LMError):
            lm(prompt)
    program = dspy.Predict("q -> a")
    program.set_lm(lm)
    program.save(tmp_path / "program.json")
    session.journal.close()
    raw = sqlite3.connect(tmp_path / "j")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert key.encode() not in written
    assert key not in caplog.text
    assert key not in str(lm.door.identity)


def test_a_dollar_cap_is_never_passed_at_concurrency_64(server: OpenAIServer) -> None:
    server.script = [answer("x", read=20, written=50)]  # 120 micro-dollars each
    session = Session(budget=Budget(usd=0.001))
    lm = connect(server, session)
    stopped = []

    def work(n: int) -> None:
        try:
            lm(f"question {n}", max_tokens=60)
        except BudgetExhausted:
            stopped.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(64)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert stopped
    assert 0 < session.ledger.spent.usd <= 0.001
    assert session.ledger.spent.calls == len(server.requests)


def test_dollars_cannot_be_capped_where_the_price_is_unknown() -> None:
    engine = HostedEngine("groq/nobody-has-heard-of-it")
    run = Session(budget=Budget(usd=1))
    for session in (run, Session(parent=run)):
        with pytest.raises(BadInput, match=r"price of groq/nobody.* is not known.*prices = "):
            LM(engine, session)
    assert LM(engine, Session(budget=Budget(calls=1))).door
    assert LM(HostedEngine("groq/nobody-has-heard-of-it", prices=(1.0, 2.0)), run).door


SEEN = answer("[[ ## shows ## ]]\na cat\n\n[[ ## completed ## ]]", read=2600, written=5)


def look(lm: LM, limit: int = 10) -> str:
    """What a program says of two pictures."""
    pictures = [dspy.Image(url="https://example.org/a.png"), dspy.Image(url="data:image/png;base64," + "A" * 4000)]
    with dspy.context(lm=lm):
        found = dspy.Predict("a: dspy.Image, b: dspy.Image -> shows")(
            a=pictures[0], b=pictures[1], config={"max_tokens": limit}
        )
    return str(found.shows)


def test_an_image_is_not_sent_under_a_cap_that_cannot_hold(server: OpenAIServer) -> None:
    server.script = [SEEN]
    for cap in (Budget(tokens=10**6), Budget(usd=1)):
        for session in (Session(budget=cap), Session(parent=Session(budget=cap))):
            lm = connect(server, session)
            with pytest.raises(Unbounded, match=r"image.* tiny .*set media_tokens .*, or cap calls alone"):
                look(lm)
            assert lm("text alone", max_tokens=10)
    sent = len(server.requests)
    assert sent == 4
    for free in (Budget(calls=2), Budget(seconds=100), Budget()):
        assert look(connect(server, Session(budget=free))) == "a cat"
    assert len(server.requests) == sent + 3


def test_a_cap_on_tokens_holds_where_it_is_known_what_an_image_may_cost(server: OpenAIServer) -> None:
    server.script = [SEEN]
    session = Session(budget=Budget(tokens=8000))
    lm = lm_for("tiny", session, base_url=server.url, media_tokens=1300)
    assert [look(lm, limit) for limit in (10, 11)] == ["a cat"] * 2
    with pytest.raises(BudgetExhausted, match="the next call may need 3,"):
        look(lm, 12)
    assert session.ledger.spent.tokens == 2 * 2605


def test_what_media_cost_goes_with_the_models_name_and_with_a_dspy_lm(server: OpenAIServer) -> None:
    theirs = dspy.LM("openai/tiny", api_base=server.url, api_key="local")
    lm = lm_for(theirs, Session(budget=Budget(usd=1)), media_tokens=1300, prices=[1.0, 2.0])
    server.script = [SEEN]
    assert look(lm) == "a cat"
    again = lm_for(lm.spec["model"], **lm.spec["settings"])
    assert (lm.door.engine.media_tokens, again.door.engine.media_tokens) == (1300, 1300)
    replay = Session(replay=Replay({"tiny": {"identity": {"kind": "hosted"}, "max_tokens": 10}}))
    closed = lm_for("tiny", replay, base_url=server.url, media_tokens=1300)
    asked = lm15.Request(
        "tiny", (lm15.Message.user([lm15.TextPart("x"), lm15.ImagePart(url="https://example.org/a.png")]),)
    )
    hosted = HostedEngine("tiny", base_url=server.url, media_tokens=1300)
    assert closed.door.engine.bound(asked) == hosted.bound(asked)
    for wrong in (-1, 1.5, True, "many"):
        with pytest.raises(BadInput, match=r"media_tokens=.*expected a whole number of tokens, 0 or more"):
            lm_for("tiny", base_url=server.url, media_tokens=wrong)


def test_a_bound_counts_tools_forms_of_answers_and_mixed_messages(server: OpenAIServer) -> None:
    engine = HostedEngine("tiny", base_url=server.url)
    plain = lm15.Request("tiny", (lm15.Message.user("häuser"),), system="Be short.", config=lm15.Config(max_tokens=7))
    assert engine.bound(plain).tokens == 7 + 9 + 16 * 3 + 7
    tool = lm15.FunctionTool(name="look", description="d" * 5000, parameters={"type": "object"})
    assert engine.count(dataclasses.replace(plain, tools=(tool,))) > engine.count(plain) + 5000
    form = lm15.Config(max_tokens=7, response_format={"type": "json_schema", "schema": {"title": "t" * 3000}})
    assert engine.count(dataclasses.replace(plain, config=form)) > engine.count(plain) + 3000
    back = lm15.Message(
        "tool", (lm15.ToolResultPart("1", (lm15.TextPart("r" * 2000), lm15.ImagePart(data="eHh4" * 3000))),)
    )
    found = engine.count(dataclasses.replace(plain, messages=(*plain.messages, back)))
    assert 2000 < found - engine.count(plain) < 3000
    known = HostedEngine("tiny", base_url=server.url, media_tokens=1300)
    assert known.count(dataclasses.replace(plain, messages=(*plain.messages, back))) == found + 1300


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://user:pass@host/v1", ""])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="base_url"):
        lm_for("tiny", base_url=url)


def test_a_dspy_lm_of_the_users_own_is_taken_with_its_address_and_settings(server: OpenAIServer) -> None:
    theirs = dspy.LM("ollama/tiny", api_base=server.url, api_key="local", temperature=0.7, max_tokens=33)
    lm = lm_for(theirs, Session())
    assert lm("hi") == ["hello"]
    assert (server.requests[0]["temperature"], server.requests[0]["max_tokens"]) == (0.7, 33)
    assert lm.door.identity["endpoint"] == server.url


def test_the_identity_tells_endpoints_apart_but_not_names_for_one() -> None:
    def identity(**kwargs: str) -> object:
        return Door(HostedEngine(**kwargs), Session()).identity  # type: ignore[arg-type]

    here = identity(model="m", base_url="http://localhost:1/v1")
    assert here == identity(model="openai/m", base_url="http://localhost:1/v1/")
    assert here != identity(model="m", base_url="http://localhost:2/v1")
    assert here != identity(model="openai/m")


def test_redaction_knows_shapes_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "plainvalue")
    assert redact("a plainvalue b") == "a [SOME_API_KEY] b"
    assert redact("Bearer abcdefghijk, sk-ant-api03-abcdefghijkl") == "Bearer [key] [key]"
    assert (
        redact("from postgresql://me:hush@db:5432/s, http://:x@h")
        == "from postgresql://[key]@db:5432/s, http://[key]@h"
    )
    for said in ("nothing here", "sqlite:///a.db at http://me@host:80/v1, me@there.org"):
        assert redact(said) == said
