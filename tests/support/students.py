"""What tests of distillation share: a teacher, a state, a fast training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dspy
import fakes
from dstill.distill import (
    DistillState,
    Training,
)
from dstill.optimizers import CompiledProgram, compile
from dstill.runtime import (
    Journal,
    ScriptedEngine,
    Session,
)
from dstill.runtime.fields import input_fields, render_fields

FAST = Training(epochs=1, batch=8, lr=1e-3, checkpoint=2)


def teacher(tmp_path: Path, task: Any = None, engine: Any = None) -> CompiledProgram:
    return compile(task or fakes.task(), engine or fakes.painter(), "k-shot", run=tmp_path / "teacher")


def state(tmp_path: Path, base: str = "", task: Any = None, engine: Any = None) -> DistillState:
    task = task or fakes.task()
    made = teacher(tmp_path, task, engine)
    return DistillState(task.compile_view, made, base, Session(Journal(tmp_path / "j")), tmp_path / "run")


def reasoning_task() -> Any:
    return fakes.task(program=dspy.ChainOfThought(fakes.Paint))


def reasoner() -> ScriptedEngine:
    def script(request: Any) -> str:
        text = input_fields(request)["text"]
        return render_fields({"reasoning": f"because of {text.split()[-1]}", "colour": fakes.truth(text)})

    return ScriptedEngine(script, repeatable=True, name="reasoner")


def with_other_tokens(base: str, folder: Path) -> str:
    """A copy of a base whose tokenizer has another word in the place of one of its own."""
    shutil.copytree(base, folder)
    body = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = body["model"]["vocab"]
    vocabulary["zebra"] = vocabulary.pop(next(token for token in vocabulary if len(token) == 3))
    body["model"]["merges"] = []
    (folder / "tokenizer.json").write_text(json.dumps(body))
    return str(folder)
