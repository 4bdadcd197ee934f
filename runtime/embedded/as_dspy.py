"""An episode's signature as the real thing, to hold what the model writes against DSPy's own parser."""

from __future__ import annotations

from typing import Any, Literal

from .render import Sig

_TYPES: dict[str, Any] = {
    "str": str, "int": int, "float": float, "bool": bool, "list[str]": list[str], "list[int]": list[int],
    "dict[str, str]": dict[str, str], "dict[str, int]": dict[str, int], "dict[str, Any]": dict[str, Any],
    "list[dict[str, Any]]": list[dict[str, Any]],
}  # fmt: skip


def as_dspy(sig: Sig) -> Any:
    """The dspy.Signature class of a `Sig`."""
    import dspy

    fields: dict[str, Any] = {}
    for group, make in ((sig.inputs, dspy.InputField), (sig.outputs, dspy.OutputField)):
        for f in group:
            kind = Literal[f.choices] if f.type == "Literal" else _TYPES[f.type]
            fields[f.name] = (kind, make(desc=f.desc) if f.desc else make())
    return dspy.make_signature(fields, sig.instructions or None)


def parse(sig: Sig, adapter: str, text: str) -> dict[str, Any] | None:
    """What DSPy's adapter reads from a completion, or None where it can not."""
    import dspy
    from dspy.utils.exceptions import AdapterParseError

    reader = dspy.ChatAdapter() if adapter == "chat" else dspy.JSONAdapter()
    try:
        values: dict[str, Any] = reader.parse(as_dspy(sig), text)
    except AdapterParseError:
        return None
    return values
