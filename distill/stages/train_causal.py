"""Train a generative student: supervised fine-tuning, or distilling step by step."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...runtime.canonical import digest
from ...runtime.engines.local.loading import quiet
from ...runtime.errors import BadInput
from ...runtime.progress import progress
from ..formats import Format, Style
from ..state import DistillState, Pair
from ..students import Student, finished, make_way, read_student, training_key, write_student
from ..training import Training, train
from .common import base_digest, losses, open_base, train_each

if TYPE_CHECKING:
    import torch

Objective = Literal["answer", "label", "step-by-step"]
LABEL, RATIONALE = "[label]", "[rationale]"
"""Task prefixes of distilling step by step."""


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al., 2106.09685) on every linear layer; merged into the weights at the end."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            expected = "rank and alpha of 1 or more, dropout of 0 or more and below 1"
            raise BadInput(f"Lora(rank={self.rank}, alpha={self.alpha}, dropout={self.dropout}): expected {expected}")


@dataclass(frozen=True)
class TrainCausal:
    """Fine-tunes a causal LM on the teacher's answers in the student's own prompt (see ``formats``).

    ``answer``: all output fields, the rationale first where there is one (SFT). ``label``: without the rationale.
    ``step-by-step``: two tasks told apart by a prefix, the label and the rationale, with the loss
    ``alpha * label + (1 - alpha) * rationale``; at inference the label task alone is asked (Hsieh et al.,
    "Distilling Step-by-Step!", 2305.02301).
    """

    objective: Objective = "answer"
    alpha: float = 0.5
    """Weight of the label task in ``step-by-step``."""
    training: Training = field(default_factory=lambda: Training(epochs=5, batch=16, lr=1e-3))
    lora: Lora | None = None
    """Train adapters instead of all weights."""
    style: Style = "chat"

    @property
    def name(self) -> str:
        """``train causal``."""
        return "train causal"

    def run(self, state: DistillState) -> DistillState:
        """A student for every predictor with rows."""
        return train_each(state, self.name, self._train)

    def _formats(self, state: DistillState, name: str, rows: Sequence[Pair]) -> list[tuple[Format, float]]:
        """The tasks a student learns, each with its weight in the loss; the first is the one it is asked."""
        signature, adapter = state.signature(name), state.task.adapter
        outputs = list(signature.output_fields)
        plain = [field for field in outputs if field != "reasoning"]
        if self.objective == "answer":
            return [(Format.of(signature, outputs=outputs, style=self.style, adapter=adapter), 1.0)]
        if self.objective == "label":
            return [(Format.of(signature, outputs=plain, style=self.style, adapter=adapter), 1.0)]
        if not any(row.outputs.get("reasoning") for row in rows):
            raise BadInput(
                f"step-by-step needs rationales, and predictor {name} has no reasoning field: declare it with "
                "dspy.ChainOfThought, or use recipe 'sft'"
            )
        label = Format.of(signature, outputs=plain, style=self.style, adapter=adapter, task=LABEL)
        why = Format.of(signature, outputs=["reasoning"], style=self.style, adapter=adapter, task=RATIONALE)
        return [(label, self.alpha), (why, 1 - self.alpha)]

    def _train(self, state: DistillState, name: str, rows: Sequence[Pair], folder: Path) -> str:
        formats = self._formats(state, name, rows)
        key = training_key(
            stage=asdict(self), rows=[row.dump() for row in rows], base=base_digest(state.base),
            formats=[form.dump() for form, _ in formats], seed=state.seed, kind="causal",
        )  # fmt: skip
        if finished(folder, key):
            return str(read_student(folder).training["note"])
        import torch

        model, tokenizer = open_base("CausalLM", state.base, seed=state.seed)
        context = getattr(model.config, "max_position_embeddings", 2048)
        coded, long = _encode(tokenizer, rows, [form for form, _ in formats], context)
        if not coded:
            raise BadInput(f"{name}: all {len(rows)} rows are longer than the {context} tokens that {state.base} reads")
        if self.lora is not None:
            model = _with_lora(model, self.lora, state.seed)
        weights = [rows[index].weight for index, _ in coded]
        tasks = [weight for _, weight in formats]

        def loss(batch: Sequence[int]) -> torch.Tensor:
            total = torch.zeros(())
            for task, share in enumerate(tasks):
                part = [(coded[row][1][task], weights[row]) for row in batch if coded[row][1][task] is not None]
                if part and share:
                    total = total + share * _answer_loss(model, part, tokenizer.pad_token_id)  # type: ignore[arg-type]
            return total

        with quiet(), progress(f"train {name}") as bar:
            log = train(
                model, [sum(len(task[0]) for task in tasks if task) for _, tasks in coded], loss, self.training,
                state.folder / "checkpoints" / folder.name / key[:16], seed=state.seed, bar=bar,
            )  # fmt: skip
        make_way(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            if self.lora is not None:
                model.save_pretrained(folder / "adapter")
                model = model.merge_and_unload()
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        longest = max(task[1] for _, parts in coded if (task := parts[0]) is not None)
        facts = {"format": formats[0][0].dump(), "max_tokens": min(2 * longest + 16, context)}
        told = {
            "task": state.task.name, "predictor": name, "base": state.base, "teacher": state.teacher.name,
            "recipe": self.objective, "rows": len(coded), "data": digest([row.dump() for row in rows]),
            "seed": state.seed, "losses": losses(log),
            "settings": {**asdict(self.training), "lora": self.lora and asdict(self.lora), "alpha": self.alpha},
        }  # fmt: skip
        note = f"{name}: {len(coded)} rows, loss {losses(log)[0]:.3f} to {losses(log)[-1]:.3f}"
        note += f", {long} rows left out as longer than {context} tokens" if long else ""
        write_student(folder, Student("causal", key, facts, {**told, "note": note}))
        return note


Coded = tuple[list[int], int]
"""A prompt with its answer as tokens, and how many of them are the answer's."""


def _encode(
    tokenizer: Any, rows: Sequence[Pair], formats: Sequence[Format], context: int
) -> tuple[list[tuple[int, list[Coded | None]]], int]:
    """(place of the row, one coded sequence a task) of the rows that fit, and how many do not."""
    found, long = [], 0
    for index, row in enumerate(rows):
        parts: list[Coded | None] = []
        for form in formats:
            if any(not row.outputs.get(name) and name == "reasoning" for name in form.outputs):
                parts.append(None)
                continue
            prompt = prompt_tokens(tokenizer, form.prompt(row.inputs))
            answer = tokenizer(form.answer(row.outputs), add_special_tokens=False)["input_ids"]
            answer = [*answer, tokenizer.eos_token_id]
            parts.append(([*prompt, *answer], len(answer)))
        if any(part is not None and len(part[0]) > context for part in parts):
            long += 1
        elif any(part is not None for part in parts):
            found.append((index, parts))
    return found, long


def prompt_tokens(tokenizer: Any, messages: Sequence[dict[str, str]]) -> list[int]:
    """A prompt as the local engine will feed it."""
    from ...runtime.engines.local.prompt import Prompter

    prompter = Prompter(tokenizer, 10**9, "student")
    return list(prompter.encode(tuple((m["role"], m["content"]) for m in messages)))


def _answer_loss(model: Any, part: Sequence[tuple[Coded, float]], pad: int) -> torch.Tensor:
    """Mean cross-entropy of the answers' tokens, each weighted by its row."""
    import torch

    width = max(len(ids) for (ids, _), _ in part)
    ids = torch.full((len(part), width), pad)
    mask = torch.zeros(len(part), width, dtype=torch.long)
    weight = torch.zeros(len(part), width)
    for index, ((tokens, answer), row) in enumerate(part):
        ids[index, : len(tokens)] = torch.tensor(tokens)
        mask[index, : len(tokens)] = 1
        weight[index, len(tokens) - answer : len(tokens)] = row
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    shares = weight[:, 1:].flatten()
    return (each * shares).sum() / shares.sum()


def _with_lora(model: Any, lora: Lora, seed: int) -> Any:
    import peft
    import torch

    from ...runtime.derive import derive_int

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_int(seed, "lora", bits=63))
        config = peft.LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear",
            task_type="CAUSAL_LM",
        )  # fmt: skip
        with warnings.catch_warnings():  # peft asks transformers by a name that transformers is giving up
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            return peft.get_peft_model(model, config)
