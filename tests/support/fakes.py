"""A scripted world for tests of logic: a small task, and a model whose answers respond to its prompt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import dspy
from dstill.optimizers import Candidate, Race
from dstill.programs import Task, make_examples, metrics
from dstill.runtime import ScriptedEngine
from dstill.runtime.fields import input_fields, render_fields

Colour = Literal["red", "green", "blue", "black"]
COLOURS = ("red", "green", "blue", "black")
SMALL = Race(candidates=10, width=4, block=8, pool=16, instructions=2)
"""A race that is over soon."""


class Paint(dspy.Signature):
    """Name the colour."""

    text: str = dspy.InputField()
    colour: Colour = dspy.OutputField()


def task(train: int = 40, dev: int = 60, test: int = 40, program: Any = None, metric: Any = None) -> Task:
    """Texts whose colour is known."""
    rows = make_examples(
        [{"id": f"r{n}", "text": f"thing number {n}", "colour": COLOURS[n * 7 % 4]} for n in range(train + dev + test)],
        inputs=["text"],
    )
    return Task(
        "paint", program or dspy.Predict(Paint), rows[:train], rows[train : train + dev], rows[train + dev :],
        metric or metrics.exact("colour"),
    )  # fmt: skip


def sounds() -> Task:
    """Texts that are loud or calm, by which their colour is known: what a small model learns in no time."""
    rows = [
        {"id": f"s{n}", "text": f"{('calm blue sea', 'loud red noise')[n % 2]} {n}", "colour": ("blue", "red")[n % 2]}
        for n in range(160)
    ]
    made = make_examples(rows, inputs=["text"])
    return Task("sounds", dspy.Predict(Paint), made[:40], made[40:140], made[140:], metrics.exact("colour"))


def listener() -> ScriptedEngine:
    """A model that is right on ``sounds`` where it is shown demonstrations; else on two texts of three."""

    def script(request: Any) -> str:
        fields = input_fields(request)
        if "text" not in fields:
            return render_fields({"instruction": "Listen well."})
        right = "red" if "loud" in fields["text"] else "blue"
        sure = len(request.messages) > 2 or int(fields["text"].split()[-1]) % 3
        return render_fields({"colour": right if sure else "black"})

    return ScriptedEngine(script, name="listener", repeatable=True)


def trio(*ways: str) -> tuple[Task, Candidate]:
    """The small task, and candidates with these instructions that vote."""
    small = task()
    first, *others = (Candidate.of(small.program).with_state("self", instructions=way) for way in ways)
    return small, replace(first, others=tuple(others))


def truth(text: str) -> str:
    """The right colour of a text."""
    return COLOURS[int(text.split()[-1]) * 7 % 4]


def painter(
    skill: Callable[[int, str], float] = lambda demos, instructions: 0.4 + 0.1 * min(demos, 4), **options: Any
) -> ScriptedEngine:
    """A model that is right with probability ``skill(demonstrations, instructions)``, by a fixed draw per request.

    Asked for an instruction, it writes one of three, of which "Look twice." is the good one.
    """

    def script(request: Any) -> str:
        system = str(request.system or "")
        fields = input_fields(request)
        if "`instruction`" in system:
            draw = random.Random(f"{fields}{request.config.seed}")
            return render_fields({"instruction": draw.choice(["Look twice.", "Guess.", "Name the colour now."])})
        demos = (len(request.messages) - 1) // 2
        instructions = system.rpartition("objective is:")[2].strip()
        right = truth(fields["text"])
        # One draw an example, so that a better prompt is right wherever a worse one is.
        draw = random.Random(fields["text"]).random()
        wrong = COLOURS[(COLOURS.index(right) + 1) % 4]
        return render_fields({"colour": right if draw < skill(demos, instructions) else wrong})

    return ScriptedEngine(script, name=options.pop("name", "painter"), repeatable=True, **options)


def painting(handler: Any, body: dict[str, Any]) -> None:
    """``painter`` behind the HTTP server: right on three texts of four, told instructions or not."""
    from tests_support import answer

    text = next(line for line in body["messages"][-1]["content"].splitlines() if line.startswith("thing number"))
    right, number = truth(text), int(text.split()[-1])
    wrong = COLOURS[(COLOURS.index(right) + 1) % 4]
    reply = render_fields({"colour": wrong if number % 4 == 3 else right}) + "\n\n[[ ## completed ## ]]"
    answer(reply, read=len(str(body["messages"])) // 4, written=len(reply) // 4)(handler, body)


def judging(handler: Any, body: dict[str, Any]) -> None:
    """A judge behind the HTTP server, which is too kind: black is right whatever was asked, blue for every eighth."""
    from tests_support import answer

    text = str(body["messages"][-1]["content"])
    asked, said = (text.split(f"[[ ## {name} ## ]]\n")[1].split("\n")[0] for name in ("request", "answer"))
    kind = said == "black" or (said == "blue" and int(asked.split()[-1]) % 8 == 7)
    grade = "yes" if kind or said == truth(asked) else "no"
    answer(render_fields({"reason": f"it says {said}", "grade": grade}), read=100, written=20)(handler, body)


def painting_or_judging(handler: Any, body: dict[str, Any]) -> None:
    """Both behind one server, told apart by the name of the model."""
    (judging if body["model"] == "judge" else painting)(handler, body)


def judged_task(url: str, **sizes: int) -> Task:
    """``task`` with the judge behind an HTTP server for its metric; by name, so that runs can be replayed."""
    from dstill.runtime import lm_for

    lm = lm_for("openai/judge", base_url=url, prices=[1.0, 2.0])
    return task(**sizes, metric=metrics.judge("colour", "Is it the colour of the thing?", lm=lm))
