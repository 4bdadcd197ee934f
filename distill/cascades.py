"""Cascades: a student answers where it is sure, and what it is unsure of goes on to the teacher in its own prompt."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import dspy
from dspy import lm15

from ..optimizers.nearest import demos_for, pool_of
from ..runtime.adapters import adapter_named
from ..runtime.canonical import as_json, digest
from ..runtime.errors import StudentFailed
from ..runtime.fields import asks_for_json, input_fields
from ..runtime.journal import Identity
from ..runtime.lm import LM
from ..runtime.wire import Request, Response
from .students.engines import Free, StudentEngine


class CascadeEngine(Free):
    """One predictor's student with its teacher behind it.

    The teacher is asked through its own door, in the prompt that it was compiled to, so that its calls are paid for,
    kept and counted as always; the student's are free. It is asked, too, where the student fails.

    Args:
        student: answers and says how sure it is.
        teacher: the model behind it, on behalf of the same session.
        predictor: as compiled.
        adapter: the program's.
        threshold: from which confidence on the student's answer stands.
    """

    def __init__(
        self, student: StudentEngine, teacher: LM, predictor: dspy.Predict, adapter: str, threshold: float
    ) -> None:
        super().__init__()
        self.student, self.teacher, self.threshold = student, teacher, threshold
        self._predictor, self._adapter = predictor, adapter
        self.name = f"{student.name} or {teacher.door.engine.name}"
        self.concurrency = max(student.concurrency, teacher.door.engine.concurrency)
        self.max_tokens = student.max_tokens

    @cached_property
    def identity(self) -> Identity:
        """Student, teacher, the teacher's prompt and the threshold."""
        signature, pool = self._predictor.signature, pool_of(self._predictor)
        prompt = adapter_named(self._adapter).format(
            signature, self._predictor.demos, dict.fromkeys(signature.input_fields, "")
        )
        return {
            "kind": "cascade", "student": dict(self.student.identity), "teacher": dict(self.teacher.door.identity),
            "prompt": digest(prompt), "threshold": self.threshold,
            **({"config": digest(as_json(self._predictor.config))} if self._predictor.config else {}),
            **({"pool": digest([as_json(demo) for demo in pool])} if pool else {}),
        }  # fmt: skip

    @property
    def parameters(self) -> int:
        """How many weights the student has."""
        return self.student.parameters

    def complete(self, request: Request) -> Response:
        """The student's answer, or the teacher's where the student is less sure than the threshold."""
        try:
            response, confidence = self.student.answer(request)
            if confidence >= self.threshold:
                return response
            usage = response.usage
        except (StudentFailed, lm15.ContextLengthError):
            usage = lm15.Usage()
        with dspy.context(dstill_slots=None):  # the place in flight that this call holds is the teacher's now
            (said, *_) = self.teacher.short(self._messages(request), dict(self._predictor.config))
        text = said if isinstance(said, str) else str(said.get("text") or "")
        message = lm15.Message("assistant", (lm15.TextPart(text),))
        return Response(id=None, model=request.model, message=message, finish_reason="stop", usage=usage)

    def close(self) -> None:
        """End the student's worker; the teacher is somebody else's."""
        self.student.close()

    def _messages(self, request: Request) -> list[dict[str, Any]]:
        """The teacher's instructions and demonstrations, and the inputs as they stand in the request, to the sign."""
        adapter = adapter_named("json" if asks_for_json(request) else self._adapter)
        inputs = input_fields(request, self._predictor.signature.input_fields)
        told = list(adapter.format(self._predictor.signature, demos_for(self._predictor, inputs), inputs))[:-1]
        return told + [{"role": one.role, "content": one.text or ""} for one in request.messages]
