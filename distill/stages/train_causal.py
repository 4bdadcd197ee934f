"""Train a generative student: on answers, step by step, on a teacher's probabilities or its hidden states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from ...runtime.canonical import digest
from ...runtime.engines.local.loading import quiet
from ...runtime.errors import BadInput
from ...runtime.lm import LM
from ...runtime.progress import progress
from ..settings import check_settings
from ..state import DistillState, Pair
from ..students import Student, finished, make_way, read_student, training_key, write_student
from ..students.alignment import leads, writes_breaks
from ..students.coding import CodedRows, code
from ..students.formats import Format, Style
from ..training import Training, best, train
from ..training.devices import home
from ..training.lora import Lora, merged, with_lora
from ..training.writers import Causal, Seq2Seq
from .common import (
    base_digest,
    check_kind,
    check_opens,
    keep_course,
    kept_apart,
    losses,
    open_base,
    open_tokenizer,
    origin,
    train_each,
)  # fmt: skip
from .teaching import check_teaches, reasons, signatures, teacher_prompts
from .writing_loss import WritingLoss

Objective = Literal["answer", "label", "step-by-step"]
Kd: TypeAlias = Literal["none", "forward", "reverse", "jsd", "stored"]
LABEL, RATIONALE = "[label]", "[rationale]"
"""Task prefixes of distilling step by step."""


@dataclass(frozen=True)
class TrainCausal:
    """Fine-tunes a causal LM on the teacher's answers in the student's own prompt (see ``formats``).

    ``answer``: all output fields, the rationale first where there is one (SFT; rationale in the answer). ``label``:
    without the rationale. ``step-by-step``: two tasks told apart by a prefix, the label and the rationale, with the
    loss ``alpha * label + (1 - alpha) * rationale``; at inference the label task alone is asked (Hsieh et al.,
    "Distilling Step-by-Step!", 2305.02301); a predictor without a reasoning field learns the label alone.

    With ``kd`` the student also learns the teacher's probabilities at every token of the answer. A local teacher is
    asked in the compiled program's own prompt, so that what its instructions and demonstrations bring is learned into
    the student's weights (context distillation, Snell et al., "Learning by Distilling Context", 2209.15189).
    """

    objective: Objective = "answer"
    alpha: float = 0.5
    """Weight of the label task in ``step-by-step``."""
    training: Training = field(default_factory=lambda: Training(epochs=5, batch=16, lr=1e-3))
    lora: Lora | None = None
    """Train adapters instead of all weights."""
    style: Style = "chat"
    """How the student is asked, see ``formats``; ``program`` takes the objective ``answer``."""
    packing: bool = True
    """Rows end to end without padding, where the model's layers allow it."""
    kd: Kd = "none"
    """``forward`` or ``reverse`` KL or ``jsd`` against a local teacher; ``stored``: forward KL against the
    log-probabilities that were collected."""
    kd_weight: float = 0.5
    """Share of the loss that ``kd`` has; the answers' cross-entropy has the rest."""
    temperature: float = 1.0
    """Softens both sides of ``kd``."""
    hidden: Literal["none", "mse", "mi"] = "none"
    """Whether last hidden states are led to the local teacher's: by distance, or by information (MI-alpha)."""
    hidden_weight: float = 0.1
    """What their loss is multiplied with before it is added."""
    teacher: str = ""
    """A local model that teaches; the compiled program's own where it is left out."""

    writer: ClassVar[type[Any]] = Causal

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 < self.alpha <= 1:
            raise BadInput(f"alpha = {self.alpha}: expected a share above 0, and at most 1")
        if not 0 <= self.kd_weight <= 1:
            raise BadInput(f"kd_weight = {self.kd_weight}: expected a share from 0 to 1")
        if not 0 < self.temperature < math.inf:
            raise BadInput(f"temperature = {self.temperature}: expected a number, more than 0")
        if self.training.devices > 1 and self.hidden != "none":  # transformers forgets to record them in a sent model
            raise BadInput(f"devices = {self.training.devices} with hidden = {self.hidden!r}: expected devices = 1")
        if self.training.accumulate > 1 and self.hidden == "mi":
            raise BadInput(
                f"accumulate = {self.training.accumulate} with hidden = 'mi': each token is told from the others of "
                "its batch, of which a part has fewer; expected accumulate = 1"
            )
        if self.style == "program" and self.objective != "answer":
            raise BadInput(
                f"style = 'program' with objective = {self.objective!r}: what is asked in the program's prompt answers "
                "as the program does; expected objective = 'answer'"
            )
        if self.kd == "stored" and self.style == "bare":
            raise BadInput(
                "kd = 'stored' with style = 'bare': the tokens that were told are those of the teacher's own form; "
                "expected style = 'chat', 'inputs' or 'program'"
            )
        if (self.kd != "none" or self.hidden != "none") and self.objective != "answer":
            raise BadInput(
                f"kd = {self.kd!r}, hidden = {self.hidden!r} with objective = {self.objective!r}: a teacher's "
                "probabilities are of its whole answer; expected objective = 'answer'"
            )

    @property
    def name(self) -> str:
        """``train causal``."""
        return f"train {self.writer.kind}"

    def check(self, base: str, program: Any, lm: LM) -> None:
        """Refuse what could not be trained before anything is paid for.

        Raises:
            BadInput: for a program without rationales, or a teacher that tells no probabilities or has other tokens.
            ModelUnavailable: for a base or a teacher that cannot be had, or a base of another kind.
        """
        check_kind(base, self.writer.kind, self.writer.loader)
        check_opens(base, self.writer.loader)
        if self.objective == "step-by-step" and not any(map(reasons, signatures(program))):
            raise BadInput(
                "step-by-step needs rationales, and no predictor of the program has a reasoning field: declare one "
                "with dspy.ChainOfThought, or use recipe 'sft'"
            )
        if self.kd not in ("none", "stored") or self.hidden != "none":
            check_teaches(self.writer, base, lm, self.teacher)

    def run(self, state: DistillState) -> DistillState:
        """A student for every predictor with rows."""
        return train_each(state, self.name, self._train)

    def _formats(self, state: DistillState, name: str, rows: Sequence[Pair]) -> list[tuple[Format, float]]:
        """The tasks and their weights; the first one is asked at inference."""
        signature = state.signature(name)
        tokenizer = open_tokenizer(state.base)
        form = partial(
            Format.of, signature, style=self.style, adapter=state.teacher.adapter,
            breaks=writes_breaks(tokenizer), lead=leads(tokenizer),
        )  # fmt: skip
        outputs = list(signature.output_fields)
        plain = [field for field in outputs if field != "reasoning"] or outputs
        if self.objective == "answer":
            return [(form(outputs=outputs), 1.0)]
        if self.objective == "label" or plain == outputs:
            return [(form(outputs=plain), 1.0)]
        if not any(row.outputs.get("reasoning") for row in rows):
            raise BadInput(
                f"step-by-step needs rationales, and the rows of predictor {name} have none: collect a teacher's "
                "answers, or use recipe 'sft'"
            )
        label, why = form(outputs=plain, task=LABEL), form(outputs=["reasoning"], task=RATIONALE)
        return [(label, self.alpha), (why, 1 - self.alpha)]

    def _train(self, state: DistillState, name: str, rows: Sequence[Pair], folder: Path) -> str:
        formats = self._formats(state, name, rows)
        learn, apart = kept_apart(state, name, rows, self.training.heldout)
        key = training_key(
            stage=asdict(self), rows=[row.dump() for row in learn], apart=[row.dump() for row in apart],
            base=base_digest(state.base), formats=[form.dump() for form, _ in formats], seed=state.seed,
            kind=self.writer.kind, teacher=base_digest(self.teacher) if self.teacher else None,
        )  # fmt: skip
        if finished(folder, key):
            return str(read_student(folder).training["note"])
        model, tokenizer = open_base(self.writer.loader, state.base, seed=state.seed)
        writer = self.writer(model, packed=self.packing)
        context = writer.context(model)

        def coded(some: Sequence[Pair]) -> CodedRows:
            asked = teacher_prompts(state, name, some) if self.style == "program" else None
            return code(tokenizer, some, [form for form, _ in formats], writer, context, state.base, asked)

        mine, watched = coded(learn), coded(apart) if apart else CodedRows((), ())
        if self.training.recompute:
            model.gradient_checkpointing_enable()
        if self.lora is not None:
            model = with_lora(model, self.lora, state.seed, self.writer.task_type)
        model.to(home(self.training.devices))
        loss = WritingLoss.of(self, state, name, writer, model, tokenizer, (mine, learn), [w for _, w in formats])
        with quiet(), progress(f"train {name}") as bar:
            log = train(
                model, [row.size for row in mine.rows], loss, self.training,
                state.checkpoint_folder(folder, key), seed=state.seed, bar=bar,
                watch=(lambda: loss.plain(watched.rows)) if watched.rows else None, share=loss.share,
                beside=loss.critic,
            )  # fmt: skip
        make_way(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            if self.lora is not None:
                model.save_pretrained(folder / "adapter")
                model = merged(model)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        keep_course(folder, log, name)
        longest = max(len(task.answer) for row in mine.rows if (task := row.tasks[0]) is not None)
        facts = {"format": formats[0][0].dump(), "max_tokens": min(2 * longest + 16, context)}
        course = losses(log)
        told = {
            **origin(state, name, self._inside(state)),
            "recipe": self._recipe(len(formats)), "rows": len(mine.rows), "data": digest([row.dump() for row in learn]),
            "seed": state.seed, "losses": course, "dev": log[best(log)].get("dev"), "steps": best(log) + 1,
            "settings": _flat({k: v for k, v in asdict(self).items() if k != "objective"}),
        }  # fmt: skip
        note = f"{name}: {len(mine.rows)} rows, loss {course[0]:.3f} to {course[-1]:.3f}"
        note += f", best of {len(log)} steps at {best(log) + 1}" if watched.rows else ""
        alone = self.objective == "step-by-step" and len(formats) == 1
        note = ", ".join([note, *(["labels alone, since it has no reasoning field"] if alone else []), *mine.notes])
        write_student(folder, Student(self.writer.kind, key, facts, {**told, "note": note}))
        return note

    def _inside(self, state: DistillState) -> str:
        """The model whose probabilities or states are learned beside the rows."""
        if self.hidden == "none" and self.kd in ("none", "stored"):
            return ""
        return self.teacher or str(state.teacher.lm.door.engine.name)

    def _recipe(self, tasks: int) -> str:
        objective = "label" if self.objective == "step-by-step" and tasks == 1 else self.objective
        parts = [objective, *([f"kd {self.kd}"] if self.kd != "none" else [])]
        return ", ".join([*parts, *([f"hidden {self.hidden}"] if self.hidden != "none" else [])])


class TrainSeq2Seq(TrainCausal):
    """Fine-tunes an encoder-decoder LM (T5 and its kin) as ``TrainCausal`` does a causal one."""

    writer: ClassVar[type[Any]] = Seq2Seq


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings.pop("training"), **settings}
