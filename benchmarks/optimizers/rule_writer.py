"""The model that writes instructions in ``contest.py``, the same for all contestants.

The embedded LM is too weak a prompt model for GEPA's and CAPO's own words, so a script stands in for a strong one. It
knows the rules of a lab task and tells those of the labels that the request shows it, in examples, in failures or in an
earlier instruction: each sentence with a chance of 0.7, in an order of its own, and one in six with another label's
name. What is good of what it writes, the optimizers have to find out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from dstill.programs import Task
from dstill.programs.lab import rules
from dstill.runtime import ScriptedEngine
from dstill.runtime.fields import answer_to

OPENINGS = ("", "Read with care. ", "Be exact. ", "You are an expert. ", "Take your time. ")
TOLD, MUDDLED = 0.7, 1 / 6


def rule_writer(kind: str, task: Task, seed: int) -> ScriptedEngine:
    """A model that explains a lab task's labels, as far as it is shown them."""
    declared = {name: predictor.signature.instructions for name, predictor in task.program.named_predictors()}
    known = {name: _sentences(text) for name, text in rules(kind, seed=seed).items()}

    def script(request: Any) -> str:
        system, text = str(request.system or ""), str(request.messages[-1])
        rng = random.Random(f"{seed}{system}{text}{request.config.seed}")
        shown = f"{system}\n{text}"
        about = [name for name, told in declared.items() if told in shown] or list(declared)
        name = rng.choice(about)
        written = rng.choice(OPENINGS) + _written(rng, declared[name], known[name], _labels(task, name), shown)
        if wanted := _wanted(system):
            return answer_to(request, dict.fromkeys(wanted, written))
        return f"<prompt>{written}</prompt>" if "<prompt>" in text else f"```\n{written}\n```"

    return ScriptedEngine(script, name=f"rule-writer-{kind}-{seed}")


def _written(rng: random.Random, declared: str, sentences: list[str], labels: list[str], shown: str) -> str:
    kept = []
    for sentence in sentences:
        own = [label for label in labels if re.search(rf"\b{re.escape(label)}\b", sentence)]
        if rng.random() > TOLD or not all(label in shown for label in own):
            continue
        if own and rng.random() < MUDDLED:
            sentence = sentence.replace(own[0], rng.choice(labels))
        kept.append(sentence)
    return " ".join([declared, *rng.sample(kept, len(kept))])


def _wanted(system: str) -> list[str]:
    """The output fields that a prompt of DSPy's adapters asks for."""
    section = system.partition("Your output fields are:")[2].partition("All interactions will be")[0]
    return re.findall(r"^\d+\. `(\w+)`", section, re.M)


def _sentences(text: str) -> list[str]:
    """A rule's sentences but the first, which says what is declared; all of them if there is no other."""
    found = re.split(r"(?<=[.!])\s+", text.strip())  # "Is it a tool? Then say so." is one
    return found[1:] or found


def _labels(task: Task, name: str) -> list[str]:
    """The values that a predictor may answer, if they are few."""
    signature: Mapping[str, Any] = dict(task.program.named_predictors())[name].signature.output_fields
    found: list[str] = []
    for field in signature.values():
        found += [value for value in getattr(field.annotation, "__args__", ()) if isinstance(value, str)]
    return found
