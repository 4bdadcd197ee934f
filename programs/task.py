"""The unit that a user declares: a program, its data in three splits, and a metric."""

from __future__ import annotations

import html
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dspy

from ..runtime.adapters import ADAPTERS
from ..runtime.canonical import as_json, digest
from ..runtime.errors import BadInput
from ..runtime.models import lm_for
from .fence import Fence
from .knobs import Space, checked, read
from .knobs import dump as dump_knobs
from .metrics import Metric, check, metric_digest, name_of
from .source import source_of_program
from .splits import label, overlaps

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """A program to make good, and the means to tell how good it is.

    Examples without declared inputs (``Example.with_inputs``) get the parameters of the program's ``forward``.

    Raises:
        BadInput: for a program without predictors or ``forward``, an empty split, a duplicate id, one example in two
            splits, an example without inputs, a metric that cannot be called, an unknown adapter, or a knob that cannot
            be set.
    """

    name: str
    """What the task is called in boards and run directories."""
    program: dspy.Module
    """The declared program; never changed."""
    train: Sequence[dspy.Example]
    """Proposes: demonstrations and training rows come from here. Labels may be missing."""
    dev: Sequence[dspy.Example]
    """Selects: candidates are compared here."""
    test: Sequence[dspy.Example]
    """Opened once, at the end; code that compiles or distils is never handed it."""
    metric: Metric
    """A number in [0, 1] or a Score for an example and a prediction."""
    adapter: str = "chat"
    """The adapter that renders the program's prompts: ``chat``, ``json`` or ``xml``."""
    source: Mapping[str, Any] | None = None
    """How ``task_named`` made it, so that a run directory knows; ``None`` for a task made otherwise."""
    knobs: Space = field(default_factory=dict)
    """Numbers and choices of the program that compiling may set: by path (``retriever.k``, ``answer.temperature``), a
    distribution of Optuna."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise BadInput(f"Task(name={self.name!r}): expected a name")
        if not isinstance(self.program, dspy.Module):
            raise BadInput(
                f"Task(program={self.program!r}): expected a dspy.Module, e.g. dspy.Predict('question -> answer')"
            )
        if not self.program.named_predictors():
            raise BadInput(
                f"the program {type(self.program).__name__} has no predictor: nothing in it calls a language model. "
                "Expected at least one dspy.Predict (or dspy.ChainOfThought, ...) as an attribute"
            )
        check(self.metric, f"Task(metric={self.metric!r})")
        if self.adapter not in ADAPTERS:
            raise BadInput(f"Task(adapter={self.adapter!r}): expected one of: {', '.join(ADAPTERS)}")
        object.__setattr__(self, "knobs", checked(self.program, self.knobs))
        inputs = _declared_inputs(self.program)
        for name in SPLITS:
            object.__setattr__(self, name, tuple(_checked(name, getattr(self, name), inputs)))
        problems = overlaps({name: getattr(self, name) for name in SPLITS})
        if problems:
            more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
            raise BadInput(f"task {self.name}: " + "; ".join(problems[:3]) + more)

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digests of what determines a result: each split, the program, the metric."""
        return {**self.compile_view.digests, "test": digest(as_json(self.test))}

    @cached_property
    def fence(self) -> Fence:
        """Hashes of the test inputs, by which training rows that stand in test are known."""
        return Fence.of(self.test)

    @cached_property
    def compile_view(self) -> CompileView:
        """The task without its test split, for code that compiles or distils.

        It is one for good, so that a program or a metric that counts its calls is the same one after them.
        """
        train, dev = tuple(self.train), tuple(self.dev)
        return CompileView(self.name, self.program, train, dev, self.metric, self.adapter, self.source, self.knobs)

    def split(self, name: str) -> Sequence[dspy.Example]:
        """A split by name.

        Raises:
            BadInput: for a name that is none.
        """
        if name not in SPLITS:
            raise BadInput(f"split {name!r}: expected one of: {', '.join(SPLITS)}")
        found: Sequence[dspy.Example] = getattr(self, name)
        return found

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(getattr(self, name))}" for name in SPLITS)
        return f"Task({self.name!r}: {type(self.program).__name__}; {sizes}; {name_of(self.metric)})"

    def _repr_html_(self) -> str:
        predictors = "".join(
            f"<tr><td><code>{html.escape(name)}</code></td><td><code>{html.escape(p.signature.signature)}</code></td>"
            f"<td>{html.escape(p.signature.instructions)}</td></tr>"
            for name, p in self.program.named_predictors()
        )
        sizes = ", ".join(f"{name} {len(getattr(self, name))}" for name in SPLITS)
        return (
            f"<b>Task {html.escape(self.name)}</b>: {sizes}; metric <code>{html.escape(name_of(self.metric))}</code>"
            f"<table><tr><th>predictor</th><th>signature</th><th>instructions</th></tr>{predictors}</table>"
        )


@dataclass(frozen=True)
class CompileView:
    """A task as compilers and distillers see it; see ``Task`` for the fields."""

    name: str
    program: dspy.Module
    train: Sequence[dspy.Example]
    dev: Sequence[dspy.Example]
    metric: Metric
    adapter: str
    source: Mapping[str, Any] | None = None
    knobs: Space = field(default_factory=dict)

    @cached_property
    def label_fields(self) -> frozenset[str]:
        """The fields of training examples that say what is right: those that a predictor writes; where none is called
        so, those that some examples lack; else all but the inputs and the id."""
        told = [_told(example) for example in self.train]
        written = {name for _, one in self.program.named_predictors() for name in one.signature.output_fields}
        some = frozenset[str]().union(*told)
        return some & written or some.difference(frozenset[str].intersection(*told)) or some

    def is_labelled(self, example: dspy.Example) -> bool:
        """Whether a training example says what is right; of other fields, such as its document, it may have any."""
        return not self.label_fields.isdisjoint(_told(example))

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digests of what determines a compilation: train, dev, program, metric, and knobs where there are any."""
        found = {name: digest(as_json(getattr(self, name))) for name in ("train", "dev")}
        if self.knobs:
            found["knobs"] = digest([dump_knobs(self.knobs), read(self.program, self.knobs)])
        return {**found, "program": program_digest(self.program), "metric": metric_digest(self.metric)}


def program_digest(program: dspy.Module) -> str:
    """Digest of what a program is: the sources of its classes, their attributes, the state and the types of its
    predictors, and models of their own."""
    own = {name: lm_for(p.lm).door.identity for name, p in program.named_predictors() if p.lm is not None}
    return digest([source_of_program(program), *([own] if own else [])])


def _declared_inputs(program: dspy.Module) -> tuple[str, ...]:
    forward = getattr(type(program), "forward", None) or vars(program).get("forward")  # syncify gives it one of its own
    if forward is None:
        raise BadInput(
            f"the program {type(program).__name__} has no forward, and examples are run by it; if it has an aforward, "
            "take dspy.syncify(program)"
        )
    parameters = inspect.signature(forward).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"]
    if named:
        return tuple(named)
    return tuple(program.named_predictors()[0][1].signature.input_fields)


def _told(example: dspy.Example) -> frozenset[str]:
    return frozenset(name for name, value in example.labels().items() if value is not None and name != "id")


def _checked(name: str, examples: Any, inputs: tuple[str, ...]) -> list[dspy.Example]:
    try:
        rows = list(examples)
    except TypeError:
        raise BadInput(f"Task({name}={examples!r}): expected a sequence of dspy.Example") from None
    if not rows:
        raise BadInput(f"the {name} split is empty: expected at least one example")
    made = []
    for index, row in enumerate(rows):
        if not isinstance(row, dspy.Example):
            raise BadInput(f"{name}[{index}] is a {type(row).__name__}: expected a dspy.Example")
        if row._input_keys is None:
            row = row.with_inputs(*(field for field in inputs if field in row))
        missing = [field for field in row._input_keys if field not in row]
        if missing or not row._input_keys:
            raise BadInput(
                f"{label(name, index, row)}: no field {', '.join(missing) or ' or '.join(inputs)}; "
                f"it has: {', '.join(row.keys())}"
            )
        strange = {field: value for field, value in row.items() if nameless(value)}
        if strange:
            field, value = next(iter(strange.items()))
            raise BadInput(
                f"{label(name, index, row)}: {field} = {value!r} has no text of its own, only an address: expected "
                "text, numbers, lists, dictionaries, or a class with __str__ (a pydantic model, a dataclass)"
            )
        made.append(row)
    return made


def nameless(value: Any) -> bool:
    """Whether there is anything in a value whose text is its address, another one in every process."""
    if isinstance(value, dict):
        return any(map(nameless, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(nameless, value))
    kind: Any = type(value)
    told = any(hasattr(value, name) for name in ("model_dump", "toDict", "tolist"))
    return kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__ and not told
