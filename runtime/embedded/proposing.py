"""Episodes in which the model writes instructions: the rule behind examples, an instruction mended from failures.

What a proposer needs is that knowledge flows: from labelled examples (or from labels whose names speak) to
sentences that explain each label, and from there, over whatever notes the proposer keeps, to the instruction.
So every answer here is made of the same sentences an informative instruction of `classify` is made of.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .classify import Class, classification, instruction
from .concepts import sources, support_source
from .episode import Episode, Field, Sig, Values, with_reasoning
from .lexicon import Split
from .render import Adapter


@dataclass(frozen=True)
class Material:
    """A classification task as a proposer sees it."""

    classes: tuple[Class, ...]
    known: tuple[Class, ...]
    """the classes that can be explained from the examples or from their names"""
    field: str
    answer: str
    noun: str
    examples: tuple[Values, ...]
    bare: str
    """the instruction so far, which explains nothing"""
    fits: bool
    literal: bool

    def labels(self) -> tuple[str, ...]:
        return tuple(c.label for c in self.classes)


def material(rng: random.Random, split: Split, most: int = 8) -> Material:
    """A task with 2 to `most` examples."""
    source = support_source() if rng.random() < 0.6 else rng.choice(sources(split))
    count = rng.randint(1, most - 1)
    while True:
        explain = "name" if rng.random() < 0.5 else "demos"
        e = classification(rng, split, None, source, explain, 0, count, reasoning=False)
        if e.facts["explain"] in ("name", "demos"):
            break
    classes: tuple[Class, ...] = tuple(e.facts["classes"])  # type: ignore[arg-type]
    fits = bool(e.facts["fits"])
    seen = set(e.facts["gold"])  # type: ignore[call-overload]
    literal = e.sig.outputs[-1].type == "Literal"
    known = tuple(c for c in classes if c.label in seen or (fits and literal))
    noun, answer = e.sig.inputs[0].name, e.sig.outputs[-1].name
    bare = e.sig.instructions or f"Given the fields `{noun}`, produce the fields `{answer}`."
    return Material(classes, known, noun, answer, noun.replace("_", " "), e.turns, bare, fits, literal)


def explained(rng: random.Random, split: Split, m: Material, classes: Sequence[Class] | None = None) -> str:
    """The instruction the model should write: the task in a sentence, then a rule per known class."""
    answer = m.answer.replace("_", " ")
    return instruction(rng, split, list(classes or m.known), "rules", m.noun, answer)


def _listing(rng: random.Random, m: Material, values: Sequence[Values]) -> str:
    style = rng.random()
    f, a = m.field, m.answer
    title = {n: n.replace("_", " ").capitalize() for n in (f, a)}
    if style < 0.4:
        return "\n\n".join(f"{title[f]}: {v[f]}\n{title[a]}: {v[a]}" for v in values)
    if style < 0.6:
        return "\n".join(f"{v[f]} -> {v[a]}" for v in values)
    if style < 0.8:
        return "\n".join(f"{i}. {v[f]} ({v[a]})" for i, v in enumerate(values, 1))
    return "\n".join(json.dumps({f: v[f], a: v[a]}, ensure_ascii=False) for v in values)


_RULE_FIELDS = (
    ("examples", "rule"),
    ("examples", "instruction"),
    ("cases", "rules"),
    ("data", "instruction_text"),
    ("examples_text", "natural_language_rules"),
    ("examples", "task_description"),
)
_RULE_ASKS = (
    "Write the rule that explains the examples.",
    "Write an instruction for this task.",
    "What is the rule?",
    "Explain the labels.",
    "Given a set of examples, extract a list of rules.",
    "Look at the examples and write the instruction.",
)
_RULES = (
    "Given a set of examples, extract a list of {count} concise and non-redundant natural language rules that provide "
    "clear guidance for performing the task. All rules should be actionable for a well-specified scope of examples of "
    "this general kind of task."
)


def write_rule(rng: random.Random, split: Split) -> Episode:
    """Examples in, instruction out."""
    m = material(rng, split)
    source, target = rng.choice(_RULE_FIELDS)
    told = rng.choice(_RULE_ASKS)
    if target == "natural_language_rules":
        told = _RULES.format(count=rng.choice((3, 5, 10)))
    think = target == "natural_language_rules" or rng.random() < 0.15
    outputs: tuple[Field, ...] = (Field(target, desc="Induced natural language rules" if "natural" in target else ""),)
    desc = "Text containing examples" if source == "examples_text" else ""
    sig = Sig((Field(source, desc=desc),), with_reasoning(outputs) if think else outputs, told)
    values = {source: _listing(rng, m, m.examples), target: explained(rng, split, m)}
    if think:
        values["reasoning"] = "The labels are " + ", ".join(c.label for c in m.known) + "."
    return Episode(sig, (values,), "proposing/rule", facts={"answer": target, "classes": m.known})


_MEND_FIELDS = (
    ("instruction", "failures", "new_instruction"),
    ("current_rule", "mistakes", "better_rule"),
    ("old_instruction", "errors", "improved_instruction"),
)
_MEND_ASKS = (
    "Improve the instruction.",
    "Mend the rule with the help of the mistakes.",
    "Write a better instruction.",
    "The instruction made mistakes. Write a new one.",
)
Case = dict[str, Any]  # "Inputs" and "Generated Outputs", each by field, and "Feedback"


def _feedback(rng: random.Random, label: str, right: bool) -> str:
    if right:
        return rng.choice(("Correct.", "This is right.", "ok", "Right.", f"The answer {label} is correct."))
    return rng.choice((f"The right answer is {label}.", f"Wrong, it should be {label}.", f"Expected {label}.",
                       f"Incorrect. The correct label is {label}.", f"should be {label}"))  # fmt: skip


def _sections(case: Case) -> str:
    """A case as GEPA prints it: a heading for each part, a smaller one for each field."""
    out = []
    for title, part in case.items():
        fields = f"{part}\n\n" if isinstance(part, str) else "".join(f"### {n}\n{v}\n\n" for n, v in part.items())
        out.append(f"## {title}\n{fields}")
    return "".join(out)


def mend(rng: random.Random, split: Split) -> Episode:
    """An instruction and failures in, a better instruction out; plain, or as GEPA asks (JSON, or a bare prompt)."""
    m = material(rng, split, 7)
    start = rng.random()
    before = list(m.known[: len(m.known) // 2]) if start < 0.4 else []
    current = explained(rng, split, m, before) if before else m.bare
    told_now = tuple(c for c in m.classes if c in before or c in m.known)
    better = explained(rng, split, m, told_now)
    cases: list[Case] = []
    for v in m.examples:
        right = rng.random() < 0.35
        guess = v[m.answer] if right else rng.choice([x for x in m.labels() if x != v[m.answer]])
        cases.append({"Inputs": {m.field: v[m.field]}, "Generated Outputs": {m.answer: guess},
                      "Feedback": _feedback(rng, str(v[m.answer]), right)})  # fmt: skip
    form = rng.random()
    facts = {"classes": told_now, "answer": "new_instruction"}
    if form < 0.4:
        sig = Sig(
            (Field("current_instruction", desc="The instructions I provided to the assistant."),
             Field("examples_with_feedback", "list[dict[str, Any]]", GEPA_EXAMPLES)),
            (Field("new_instruction", desc="The new instruction for the assistant."),), GEPA,
        )  # fmt: skip
        values = {"current_instruction": current, "examples_with_feedback": cases, "new_instruction": better}
        adapter: Adapter = "json" if rng.random() < 0.8 else "chat"
        return Episode(sig, (values,), "proposing/gepa", adapter=adapter, facts=facts)
    if form < 0.6:
        shown = "\n\n".join(f"# Example {i}\n{_sections(case)}" for i, case in enumerate(cases, 1))
        prompt = GEPA_BARE.replace("<curr_param>", current).replace("<side_info>", shown)
        raw = (prompt, ((f"```\n{better}\n```", 1.0),))
        return Episode(Sig((), ()), ({},), "proposing/gepa_bare", raw=raw, facts=facts)
    old, seen, new = rng.choice(_MEND_FIELDS)
    told = rng.choice(_MEND_ASKS)
    text = "\n\n".join(
        f"{m.field}: {v[m.field]}\nanswer: {c['Generated Outputs'][m.answer]}\n{c['Feedback']}"
        for v, c in zip(m.examples, cases, strict=True)
    )
    sig = Sig((Field(old), Field(seen)), (Field(new),), told)
    return Episode(sig, ({old: current, seen: text, new: better},), "proposing/mend", facts={**facts, "answer": new})


GEPA = (
    "I provided an assistant with instructions to perform a task for me. You are given those instructions, along with "
    "examples of different task inputs provided to the assistant, the assistant's response for each of them, and some "
    "feedback on how the assistant's response could be better.\n\nYour task is to write a new instruction for the "
    "assistant.\n\nRead the inputs carefully and identify the input format and infer detailed task description about "
    "the task I wish to solve with the assistant.\n\nRead all the assistant responses and the corresponding feedback. "
    "Identify all niche and domain specific factual information about the task and include it in the instruction, as a "
    "lot of it may not be available to the assistant in the future. The assistant may have utilized a generalizable "
    "strategy to solve the task, if so, include that in the instruction as well."
)
GEPA_EXAMPLES = (
    "Task inputs provided to the assistant, the assistant's response for each, and feedback on how the response could "
    "be better."
)
GEPA_BARE = (
    "I provided an assistant with the following instructions to perform a task for me:\n```\n<curr_param>\n```\n\n"
    "The following are examples of different task inputs provided to the assistant along with the assistant's response "
    "for each of them, and some feedback on how the assistant's response could be better:\n```\n<side_info>\n```\n\n"
    + GEPA[GEPA.index("Your task") :]
    + "\n\nProvide the new instructions within ``` blocks."
)
