"""DSPy's adapters by name, and a ChatAdapter that renders each demo and each signature once.

DSPy's ChatAdapter renders every demonstration anew in every call and builds a pydantic adapter for every value.
``ChatAdapter`` here gives the same messages and the same parses, byte for byte (a test holds that), from caches
keyed by content. Whatever is not plain text (tools, images, histories, native types) it leaves to DSPy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import dspy

from .errors import BadInput
from .internals import (
    CUSTOM_TYPE_START_IDENTIFIER,
    AdapterParseError,
    field_header_pattern,
    format_field_value,
    is_plain_type,
)
from .lm import LM

ADAPTERS = ("chat", "json", "xml")
"""Names under which artifacts keep their adapter."""


def adapter_named(name: str) -> dspy.Adapter:
    """The adapter called ``chat`` (DSPy's default, with its fallback to JSON), ``json`` or ``xml``.

    Raises:
        BadInput: for any other name.
    """
    if name == "chat":
        return ChatAdapter()
    if name == "json":
        return dspy.JSONAdapter()
    if name == "xml":
        return dspy.XMLAdapter()
    raise BadInput(f"adapter {name!r} is not known; expected one of: {', '.join(ADAPTERS)}")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What ChatAdapter writes for one signature, apart from values."""

    system: dict[str, str]
    reminder: str
    inputs: tuple[tuple[str, Any], ...]
    outputs: tuple[tuple[str, Any], ...]
    literals: dict[str, frozenset[str]]
    """Text choices of the fields whose values are plain string literals."""


_ABSENT = object()


class ChatAdapter(dspy.ChatAdapter):
    """DSPy's ChatAdapter, faster on text; see the module's note."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._plans: dict[Any, _Plan | None] = {}
        self._demos: dict[Any, tuple[bool, list[dict[str, str]]]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> ChatAdapter:
        return self

    def __call__(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: Any, demos: Sequence[Any], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Render, ask, parse; one dictionary of output fields per answer."""
        plan = self._plan(signature)
        if plan is None or self.callbacks or not isinstance(lm, LM):
            return list(super().__call__(lm, lm_kwargs, signature, demos, inputs))
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            lm_kwargs.pop(name, None)
        messages = self._render(plan, signature, demos, inputs) if lm.is_plain(lm_kwargs) else None
        if messages is None:
            return list(super().__call__(lm, lm_kwargs, signature, demos, inputs))
        outputs = lm.short(messages, lm_kwargs)
        try:
            if all(type(output) is str and output for output in outputs):
                return [self._parse(plan, signature, output) for output in outputs]
            return list(self._call_postprocess(signature, signature, outputs, lm, lm_kwargs))
        except AdapterParseError:
            if not self.use_json_adapter_fallback:
                raise
            return list(self._make_json_adapter_fallback()(lm, lm_kwargs, signature, demos, inputs))

    def format(self, signature: Any, demos: Sequence[Any], inputs: dict[str, Any]) -> list[dict[str, Any]]:
        """The messages of a call, as DSPy's ChatAdapter writes them."""
        plan = self._plan(signature)
        messages = None if plan is None else self._render(plan, signature, demos, inputs)
        return messages if messages is not None else list(super().format(signature, demos, inputs))

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        """The output fields in an answer.

        Raises:
            AdapterParseError: where a field is missing or not of its type.
        """
        plan = self._plan(signature)
        if plan is None:
            return dict(super().parse(signature, completion))
        return self._parse(plan, signature, completion)

    def _plan(self, signature: Any) -> _Plan | None:
        fields = signature.model_fields
        key = (
            signature,
            signature.__doc__,
            tuple(
                (
                    name,
                    field.annotation,
                    field.json_schema_extra.get("desc"),
                    field.json_schema_extra.get("constraints"),
                )
                for name, field in fields.items()
            ),
        )
        try:
            return self._plans[key]
        except KeyError:
            pass
        except TypeError:  # an annotation that cannot be hashed
            return None
        if len(self._plans) > 2000:
            self._plans.clear()
            self._demos.clear()
        plan = self._plans[key] = self._make_plan(signature)
        return plan

    def _make_plan(self, signature: Any) -> _Plan | None:
        if any(not is_plain_type(field.annotation) for field in signature.model_fields.values()):
            return None
        outputs = tuple(signature.output_fields.items())
        if not outputs or any(not field.is_required() for _, field in outputs):
            return None
        literals = {
            name: frozenset(get_args(field.annotation))
            for name, field in outputs
            if get_origin(field.annotation) is Literal and all(type(a) is str for a in get_args(field.annotation))
        }
        return _Plan(
            {"role": "system", "content": self.format_system_message(signature)},
            self.user_message_output_requirements(signature),
            tuple(signature.input_fields.items()),
            outputs,
            literals,
        )

    def _render(
        self, plan: _Plan, signature: Any, demos: Sequence[Any], inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]] | None:
        """All messages; ``None`` where a value is more than text."""
        parts = [""]
        for name, field in plan.inputs:
            if name in inputs:
                parts.append(f"[[ ## {name} ## ]]\n{_text(field, inputs[name])}")
        content = "\n\n".join([*parts, plan.reminder, ""]).strip()
        if CUSTOM_TYPE_START_IDENTIFIER in content:
            return None
        rendered = [self._demo(plan, signature, demo) for demo in demos]
        messages = [plan.system]
        messages += [m for complete, pair in rendered if not complete for m in pair]
        messages += [m for complete, pair in rendered if complete for m in pair]
        if any(CUSTOM_TYPE_START_IDENTIFIER in m["content"] for m in messages):
            return None
        return [*messages, {"role": "user", "content": content}]

    def _demo(self, plan: _Plan, signature: Any, demo: Any) -> tuple[bool, list[dict[str, str]]]:
        """Whether a demo is complete, and its messages (none if it lacks all inputs or all outputs)."""
        values = tuple(demo.get(n, _ABSENT) for n, _ in plan.inputs + plan.outputs)
        key = (id(plan), values)
        try:
            return self._demos[key]
        except (KeyError, TypeError):
            pass
        complete = all(value is not _ABSENT and value is not None for value in values)
        messages = self.format_demos(signature, [demo])
        found = complete, messages
        # Equal keys must render equally: True == 1 and 1 == 1.0 do not, so only text is kept.
        if all(type(value) is str or value is _ABSENT or value is None for value in values):
            if len(self._demos) > 20_000:
                self._demos.clear()
            self._demos[key] = found
        return found

    def _parse(self, plan: _Plan, signature: Any, completion: str) -> dict[str, Any]:
        sections: list[tuple[str | None, list[str]]] = [(None, [])]
        for line in completion.splitlines():
            match = field_header_pattern.match(line.strip()) if "[[" in line else None
            if match is None:
                sections[-1][1].append(line)
            else:
                rest = line[match.end() :].strip()
                sections.append((match.group(1), [rest] if rest else []))
        found = {}
        for name, lines in sections:
            if name is not None and name not in found:
                found[name] = "\n".join(lines).strip()
        fields = {}
        for name, field in plan.outputs:
            value = found.get(name)
            if value is None or not (field.annotation is str or value in plan.literals.get(name, ())):
                return dict(super().parse(signature, completion))
            fields[name] = value
        return fields


def _text(field: Any, value: Any) -> str:
    if type(value) is str or type(value) is int or type(value) is bool:
        return str(value)
    return str(format_field_value(field, value))
