"""What training stages share: the base model and its digest, the round over predictors, the losses a card tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...runtime.atomic import write_bytes, write_json
from ...runtime.derive import derive, derive_int
from ...runtime.engines.local.loading import find_folder, quiet, read_config, weights_digest
from ...runtime.errors import BadInput, ModelUnavailable
from ...runtime.models import embedded_folder
from ..state import DistillState, Pair
from ..students import CURVE, read_student
from ..training.curves import svg
from .votes import label_of


def base_folder(base: str) -> Path:
    """The folder of a base model: ``embedded:small``, a folder, or a hub name."""
    if base == "embedded" or base.startswith("embedded:"):
        return embedded_folder(base)
    return find_folder(base.removeprefix("local:"))


def kind_of(folder: Path) -> str:
    """What kind of student a model folder is a base of, by its configuration."""
    config = read_config(folder)
    names = " ".join(config.get("architectures") or ())
    if config.get("is_encoder_decoder"):
        return "seq2seq"
    return "causal" if "CausalLM" in names or "LMHeadModel" in names else "encoder"


def check_kind(base: str, kind: str, loader: str, role: str = "be trained") -> None:
    """Refuse a model that its configuration says is of another kind; ``role`` is what it is wanted for.

    Raises:
        ModelUnavailable: saying which recipes would take a base.
    """
    folder = base_folder(base)
    told = read_config(folder).get("architectures")
    if told and kind_of(folder) != kind:
        raise _refused(base, loader, ValueError(_OTHER_KIND), role)


def check_opens(base: str, kind: str, role: str = "be trained") -> None:
    """Refuse a model that could not be opened as this kind, by all of it but the weights themselves; see ``open_base``.

    Raises:
        ModelUnavailable: saying what is wrong with it.
    """
    import transformers
    from safetensors import SafetensorError, safe_open

    folder = base_folder(base)
    read_config(folder)  # with what is wrong with it in a sentence
    try:
        with quiet():
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            for file in folder.glob("*.safetensors"):
                with safe_open(file, "pt"):
                    pass
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _refused(base, kind, error, role) from error
    loader = getattr(transformers, f"AutoModelFor{kind}" if kind else "AutoModel")
    if type(config) not in loader._model_mapping:
        raise _refused(base, kind, ValueError(_OTHER_KIND), role)


def _refused(base: str, kind: str, error: Exception, role: str = "be trained") -> ModelUnavailable:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    if first.startswith(("Unrecognized configuration class", _OTHER_KIND)):
        first = f"{_OTHER_KIND}{_HINTS.get(kind, '') if role == 'be trained' else ''}"
    return ModelUnavailable(f"{base} cannot {role} as a {kind or 'base'}: {first}")


def base_digest(base: str) -> str:
    """What the base model is."""
    folder = base_folder(base)
    stats = [(place.name, place.stat()) for place in sorted(folder.iterdir())]
    return _digest(folder, tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats))


@lru_cache(maxsize=64)
def _digest(folder: Path, looks: tuple[tuple[str, int, int], ...]) -> str:
    return weights_digest(folder)  # read once for as long as the files look the same


def open_base(kind: str, base: str, *, seed: int, **options: Any) -> tuple[Any, Any]:
    """A base model to train, in float32, and its tokenizer; new weights (a head) follow from the seed.

    ``kind`` is what follows ``AutoModelFor`` in transformers; without one it is the bare model.

    Raises:
        ModelUnavailable: for a base that transformers cannot load as this kind.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    folder = base_folder(base)
    read_config(folder)  # with what is wrong with it in a sentence
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_int(seed, "new weights", bits=63))
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            loader = getattr(transformers, f"AutoModelFor{kind}" if kind else "AutoModel")
            model = loader.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, **options
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _refused(base, kind, error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def open_tokenizer(base: str) -> Any:
    """A base model's tokenizer."""
    import transformers

    with quiet():
        return transformers.AutoTokenizer.from_pretrained(base_folder(base), trust_remote_code=False)


def longest(tokenizer: Any, model: Any) -> int:
    """The most tokens that an encoder reads. Where a position stands for padding (RoBERTa's kind), the first token's
    comes after it."""
    positions = int(getattr(model.config, "max_position_embeddings", 512))
    for name, part in model.named_modules():
        if name.endswith("position_embeddings") and (padding := getattr(part, "padding_idx", None)) is not None:
            positions -= padding + 1
    return min(int(tokenizer.model_max_length), positions)


_OTHER_KIND = "it is of another kind"
_HINTS = {
    "CausalLM": " (the recipes labels, soft-labels and gold train encoders)",
    "SequenceClassification": " (the recipes sft, label-only and step-by-step train causal models)",
}


def train_each(
    state: DistillState, stage: str, train: Callable[[DistillState, str, Sequence[Pair], Path], str]
) -> DistillState:
    """A student for every predictor with rows; ``train`` leaves one in a folder and says how it went."""
    students = {name: state.student_folder(name) for name in state.pairs}
    notes = [train(state, name, rows, students[name]) for name, rows in state.pairs.items()]
    told = {name: read_student(folder).training for name, folder in students.items()}
    dev = {f"dev loss of {name}": one["dev"] for name, one in told.items() if one.get("dev") is not None}
    return state.with_effect(stage, state.rows, *notes, dev=dev, students=students)


def kept_apart(state: DistillState, name: str, rows: Sequence[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """Rows to train on and rows to look at: dev rows where they were collected, else a share of the examples.

    The share leaves every answer at least one row to learn from, unless most rows have an answer of their own.

    Raises:
        BadInput: for a share that leaves nothing to look at or nothing to learn from.
    """
    if state.dev_pairs.get(name):
        return list(rows), list(state.dev_pairs[name])
    if share <= 0:
        return list(rows), []
    examples = sorted({row.example for row in rows})
    derive(state.seed, "kept apart", name).shuffle(examples)
    held = set(examples[: max(1, round(share * len(examples)))])
    left = {label_of(row) for row in rows if row.example not in held}
    texts = len({label_of(row) for row in rows}) > len(rows) / 2
    aside = [row.example in held and (texts or label_of(row) in left) for row in rows]
    if not any(aside) or all(aside):
        raise BadInput(
            f"heldout = {share}: of the {len(rows)} rows of {name} it leaves none to look at, or none to learn from; "
            "expected a smaller share, more rows, or 0 for no early stopping"
        )
    learn = [row for row, is_apart in zip(rows, aside, strict=True) if not is_apart]
    return learn, [row for row, is_apart in zip(rows, aside, strict=True) if is_apart]


def origin(state: DistillState, predictor: str, inside: str = "") -> dict[str, Any]:
    """What a card tells of where a student comes from.

    Args:
        inside: the model whose probabilities or states are learned beside the rows, if any.
    """
    names = dict.fromkeys(one.name for one in (state.teacher, *state.others))
    taught = "none, the rows are the data's own labels" if state.gold else " and ".join(names)
    if state.gold and inside:
        taught = f"{inside}, on the data's own labels"
    found = {"task": state.task.name, "predictor": predictor, "base": state.base, "teacher": taught}
    licence = licence_of(base_folder(state.base))
    return found | ({"licence": licence} if licence else {})


def licence_of(base: Path) -> str:
    """The licence that a model's card names in its head; empty where it names none."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    try:
        head = metadata_load(base / "README.md")
    except (OSError, ValueError, YAMLError):
        return ""
    named = head.get("license") if isinstance(head, dict) else None
    return named if isinstance(named, str) else ""


def keep_course(folder: Path, log: Sequence[dict[str, float]], title: str) -> None:
    """The course of a training beside the student: the log as transformers writes it, and a picture."""
    history = [
        {"step": line["step"] + 1, "learning_rate": line["lr"], "grad_norm": line["norm"], "loss": line["loss"]}
        | ({"eval_loss": line["dev"]} if "dev" in line else {})
        for line in log
    ]
    write_json(folder / "trainer_state.json", {"global_step": len(log), "log_history": history})
    write_bytes(folder / CURVE, svg(log, title).encode())


def losses(log: Sequence[dict[str, float]]) -> list[float]:
    """The mean loss of each tenth of the steps, for the card."""
    values = [line["loss"] for line in log]
    parts = min(10, len(values))
    cuts = [round(n * len(values) / parts) for n in range(parts + 1)]
    return [round(sum(values[a:b]) / (b - a), 6) for a, b in pairwise(cuts)]
