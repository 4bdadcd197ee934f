"""Loading of models and tokenizers by folder or hub name, and the digest of what was loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...canonical import digest, file_digest
from ...errors import BadInput, ModelUnavailable
from ...secrets import redact

WEIGHTS = (".safetensors", ".json", ".jinja", ".model", ".txt")
"""Files that make a model what it is: weights, configuration, tokenizer, chat template."""

_IGNORED = frozenset({"README.md", "training_args.json", "trainer_state.json"})


def find_folder(model: str) -> Path:
    """The local folder of a model: the folder itself, or the snapshot of a hub name (fetched where it is missing).

    Raises:
        ModelUnavailable: where there is no such folder, and the hub has no such model or cannot be reached.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BadInput(f"{folder} is not a model: it has no config.json (expected a Hugging Face model folder)")
        return folder
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelUnavailable(f"there is no model folder {model}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [f"*{suffix}" for suffix in WEIGHTS]
    try:
        return Path(snapshot_download(model, allow_patterns=patterns, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        pass
    except ValueError as error:  # not a valid name
        raise ModelUnavailable(f"{model!r} is neither a folder nor a model's name: {_first(error)}") from None
    try:
        return Path(snapshot_download(model, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelUnavailable(
            f"the model {model!r} is no folder here, and could not be fetched from the hub: {_first(error)}"
        ) from None


def read_config(folder: Path) -> dict[str, Any]:
    """A model's ``config.json``.

    Raises:
        ModelUnavailable: where it is none.
    """
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{folder / 'config.json'} cannot be read: {type(error).__name__}: {error}") from None
    if not isinstance(found, dict):
        raise ModelUnavailable(f"{folder / 'config.json'} holds {found!r}: expected a model's configuration, a table")
    return found


def weights_digest(folder: Path, *, but: str = "") -> str:
    """SHA-256 over the files that make a model what it is; its card and logs do not count, nor one of the name."""
    names = sorted(p for p in folder.iterdir() if p.suffix in WEIGHTS and p.name not in {*_IGNORED, but})
    if not any(p.suffix == ".safetensors" for p in names):
        raise ModelUnavailable(f"{folder} holds no .safetensors weights (pickled weights are never loaded)")
    return digest([[p.name, file_digest(p)] for p in names])


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bars and hints for the length of the block.

    What it says of kernels when a model runs is left out for good where there is no GPU: they would be of no use.
    """
    from logging import ERROR, getLogger

    import torch
    from transformers.utils import logging

    if not torch.cuda.is_available():
        getLogger("transformers.integrations.hub_kernels").setLevel(ERROR)
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load(kind: str, folder: Path, *, dtype: str, device: str | None = None) -> tuple[Any, Any]:
    """A model (``AutoModelFor`` + ``kind``, or the bare model) in evaluation mode, and its tokenizer.

    No code from the folder runs.

    Raises:
        ModelUnavailable: for a folder that transformers cannot load, with its reason.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            loader = getattr(transformers, f"AutoModelFor{kind}" if kind else "AutoModel")
            model = loader.from_pretrained(
                folder, dtype=getattr(torch, dtype), trust_remote_code=False, use_safetensors=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(f"cannot load the model in {folder}: {_first(error)}") from error
    return model.eval().requires_grad_(False).to(place), tokenizer


def context_of(model: Any) -> int:
    """The most tokens that a language model reads and writes, as its configuration says."""
    config = model.config.get_text_config(decoder=True)
    return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048)


def _first(error: BaseException) -> str:
    lines = redact(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
