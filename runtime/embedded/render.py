"""Prompts exactly as DSPy's ChatAdapter and JSONAdapter (3.4) write them, without DSPy.

A training run renders thousands of prompts a minute; these functions give the same bytes as
`dspy.ChatAdapter().format(signature, demos, inputs)` and `.format_assistant_message_content(...)` for the field
types of `Field.type` (a test holds them to it), at a hundredth of the time.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Adapter = Literal["chat", "json"]
Value = object  # str, int, float, bool, list[str], dict[str, str]
Values = Mapping[str, Value]
_SCHEMAS = {
    "list[str]": '{"type": "array", "items": {"type": "string"}}',
    "list[int]": '{"type": "array", "items": {"type": "integer"}}',
    "dict[str, str]": '{"type": "object", "additionalProperties": {"type": "string"}}',
    "list[dict[str, Any]]": "",  # only ever an input here
    "dict[str, Any]": '{"type": "object", "additionalProperties": true}',
    "dict[str, int]": '{"type": "object", "additionalProperties": {"type": "integer"}}',
}
INCOMPLETE = "This is an example of the task, though some input or output fields are not supplied."
MISSING = "Not supplied for this particular example. "


@dataclass(frozen=True)
class Field:
    """One field of a signature."""

    name: str
    type: str = "str"
    """str, int, float, bool, list[str], list[int], dict[str, str], dict[str, int] or Literal"""
    desc: str = ""
    choices: tuple[str, ...] = ()
    """the values of a Literal"""

    @property
    def annotation(self) -> str:
        """The type as DSPy prints it."""
        return f"Literal[{', '.join(map(_quote, self.choices))}]" if self.type == "Literal" else self.type


@dataclass(frozen=True)
class Sig:
    """A signature: what goes in, what comes out, and the instruction."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    instructions: str = ""
    """empty: DSPy's default sentence that only names the fields"""

    @property
    def objective(self) -> str:
        if self.instructions:
            return self.instructions
        ins, outs = (", ".join(f"`{f.name}`" for f in fs) for fs in (self.inputs, self.outputs))
        return f"Given the fields {ins}, produce the fields {outs}."


@dataclass(frozen=True)
class Turn:
    """One example: the values of its fields, and how much each output's tokens count in training."""

    values: Values
    weight: Mapping[str, float] | None = None
    """output field -> weight of its value in the loss (1 where absent)"""


def _quote(choice: str) -> str:
    if "'" in choice and '"' not in choice:
        return f'"{choice}"'
    return "'" + choice.replace("'", "\\'") + "'" if "'" in choice else f"'{choice}'"


def format_value(field: Field, value: Value) -> str:
    """A value as it stands below its header."""
    if isinstance(value, list) and field.type == "str":
        raise TypeError(f"field {field.name!r} is a str, its value is the list {value!r}")
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _fields(fields: Sequence[Field]) -> str:
    return "\n".join(f"{i}. `{f.name}` ({f.annotation}): {f.desc}" for i, f in enumerate(fields, 1)).strip()


def _slot(field: Field, output: bool) -> str:
    if not output or field.type == "str":
        note = ""
    elif field.type == "Literal":
        note = f"must exactly match (no extra characters) one of: {'; '.join(field.choices)}"
    elif field.type in _SCHEMAS:
        note = f"must adhere to the JSON schema: {_SCHEMAS[field.type]}"
    elif field.type == "bool":
        note = "must be True or False"
    else:
        note = f"must be a single {field.type} value"
    note = f"        # note: the value you produce {note}" if note else ""
    return f"[[ ## {field.name} ## ]]\n{{{field.name}}}{note}"


def system_text(sig: Sig, adapter: Adapter = "chat") -> str:
    """The system turn: fields, layout, objective."""
    objective = ("\n" + " " * 8).join(["", *inspect.cleandoc(sig.objective).splitlines()])
    inputs = "\n\n".join(_slot(f, False) for f in sig.inputs)
    if adapter == "chat":
        layout = [inputs, "\n\n".join(_slot(f, True) for f in sig.outputs), "[[ ## completed ## ]]"]
    else:
        outputs = {f.name: _slot(f, True).split("\n", 1)[1] for f in sig.outputs}
        layout = ["Inputs will have the following structure:", inputs]
        layout += ["Outputs will be a JSON object with the following fields.", _json(outputs)]
    lead = "All interactions will be structured in the following way, with the appropriate values filled in."
    return (
        f"Your input fields are:\n{_fields(sig.inputs)}\nYour output fields are:\n{_fields(sig.outputs)}\n"
        + "\n\n".join([lead, *layout])
        + f"\nIn adhering to this structure, your objective is: {objective}"
    )


def _json(values: Values) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False)


def user_text(sig: Sig, values: Values, ask: bool = False, prefix: str = "", adapter: Adapter = "chat") -> str:
    """A user turn; `ask` adds the reminder that closes the last one."""
    parts = [prefix]
    parts += [f"[[ ## {f.name} ## ]]\n{format_value(f, values[f.name])}" for f in sig.inputs if f.name in values]
    if ask:
        wanted = ", then ".join(
            (f"`[[ ## {f.name} ## ]]`" if adapter == "chat" else f"`{f.name}`")
            + ("" if f.type == "str" else f" (must be formatted as a valid Python {f.annotation})")
            for f in sig.outputs
        )
        if adapter == "chat":
            lead = "Respond with the corresponding output fields, starting with the field "
            parts.append(f"{lead}{wanted}, and then ending with the marker for `[[ ## completed ## ]]`.")
        else:
            parts.append(f"Respond with a JSON object in the following order of fields: {wanted}.")
    return "\n\n".join([*parts, ""]).strip()


def answer_parts(sig: Sig, values: Values, adapter: Adapter = "chat") -> list[tuple[str, str]]:
    """An assistant turn in pieces (text, name of the field it is the value of, or nothing)."""
    parts = []
    if adapter == "chat":
        for i, f in enumerate(sig.outputs):
            parts += [(("\n\n" if i else "") + f"[[ ## {f.name} ## ]]\n", "")]
            value = format_value(f, values.get(f.name, MISSING))
            parts += [(value.rstrip() if i == len(sig.outputs) - 1 else value, f.name)]
        return [*parts, ("\n\n[[ ## completed ## ]]\n", "")]
    for i, f in enumerate(sig.outputs):
        value = _json({f.name: values.get(f.name, MISSING)})[2:-2]
        head = value.index(": ") + 2
        parts += [((",\n" if i else "{\n") + value[:head], ""), (value[head:], f.name)]
    return [*parts, ("\n}", "")]


def answer_text(sig: Sig, values: Values, adapter: Adapter = "chat") -> str:
    """An assistant turn: every output below its header, then the closing marker (or one JSON object)."""
    return "".join(text for text, _ in answer_parts(sig, values, adapter))


def messages(sig: Sig, demos: Sequence[Values], inputs: Values, adapter: Adapter = "chat") -> list[dict[str, str]]:
    """The whole prompt. As DSPy does, demos that lack a field come first, marked as incomplete."""
    fields = {f.name for f in (*sig.inputs, *sig.outputs)}
    whole = [d for d in demos if fields <= d.keys()]
    partial = [d for d in demos if not fields <= d.keys()]
    out = [{"role": "system", "content": system_text(sig, adapter)}]
    for demo, prefix in [*((d, INCOMPLETE) for d in partial), *((d, "") for d in whole)]:
        out.append({"role": "user", "content": user_text(sig, demo, prefix=prefix, adapter=adapter)})
        out.append({"role": "assistant", "content": answer_text(sig, demo, adapter)})
    return [*out, {"role": "user", "content": user_text(sig, inputs, ask=True, adapter=adapter)}]
