"""A label as the answer that a program's prompt asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...runtime.fields import answer_to, asks_for_json
from ...runtime.wire import Request


def label_answer(request: Request, facts: Mapping[str, Any], label: str) -> str:
    """The answer with a label in its field, the others empty.

    Args:
        facts: a classifier's; where ``optional`` is true, its label ``None`` may be that there is no value. JSON has a
            word of its own for this, since a text in JSON is always a text.
    """
    missing = facts.get("optional") and label == "None" and asks_for_json(request)
    value = None if missing else label
    return answer_to(request, {name: value if name == facts["field"] else "" for name in facts["order"]})
