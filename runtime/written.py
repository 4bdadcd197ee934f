"""Which files of a run directory a run wrote: only those may go when another run takes its place.

A finished run's manifest names them. One that has not ended has none, so its files are known by the names that dstill
gives them, and those in its students' folders by the names that transformers gives to models and tokenizers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

import orjson

MANIFEST, CONFIG = "manifest.json", "config.json"
CHECKPOINTS = "checkpoints"
"""The folder of trainings that have not ended; it goes with the end of the run."""
_HIDDEN = (".", CHECKPOINTS)
_UNFINISHED = (".tmp", ".part")

_OF_RUN = re.compile(
    r"(config|program|report|teacher|teacher-\d+)\.json|(trials|rows|examples)\.jsonl|cassette\.jsonl\.zst"
    r"|leaderboard\.(html|md|json|csv)"
)
_OF_STUDENT = re.compile(
    r"(adapter/)?("
    r"README\.md|(student|trainer_state|config|generation_config|adapter_config)\.json|curve\.svg"
    r"|(model|adapter_model|head|match)(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"
    r"|chat_template\.(jinja|json)"
    r"|(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|vocab-src|vocab-tgt|target_vocab|byte_maps"
    r"|entity_vocab|emoji|normalizer|word_pronunciation|word_shape)\.json"
    r"|(vocab|merges|dict)\.txt|bpe\.codes|prophetnet\.tokenizer|(source|target)\.spm"
    r"|(tokenizer|spiece|spm|spm_char|sentencepiece|sentencepiece\.bpe)\.model)"
)


def files_in(path: Path) -> list[str]:
    """The files in a directory, but for hidden ones, half written ones, and those of finished runs in it."""
    found = []
    for folder, names, files in os.walk(path):
        names[:] = sorted(n for n in names if not n.startswith(_HIDDEN))
        inner = [name for name in names if (Path(folder) / name / MANIFEST).exists()]
        names[:] = [name for name in names if name not in inner]
        files += [f"{name}/{MANIFEST}" for name in inner]
        for file in files:
            name = (Path(folder) / file).relative_to(path).as_posix()
            if not file.startswith(".") and not file.endswith(_UNFINISHED) and name != MANIFEST:
                found.append(name)
    return sorted(found)


def strangers(path: Path, vouched: Collection[str]) -> list[str]:
    """The files that no run here is known to have written.

    Args:
        vouched: those that the manifest names; none for a run that has not ended.
    """
    found = [name for name in files_in(path) if name not in vouched and not name.endswith(f"/{MANIFEST}")]
    return [name for name in found if not _named_by_us(path, name)]


def strangers_before(path: Path) -> list[str]:
    """The files in a directory of no run but for whole students, which a replay brings along before it begins."""

    def brought(name: str) -> bool:
        parts = Path(name).parts
        place = parts.index("students") + 2 if "students" in parts else len(parts)
        return place < len(parts) and path.joinpath(*parts[:place], "student.json").is_file()

    return [name for name in files_in(path) if not brought(name)]


def _named_by_us(path: Path, name: str) -> bool:
    """Whether a file has a name that dstill would give it, in the directory of a run that has not ended."""
    parts = Path(name).parts
    if "students" in parts:
        place = parts.index("students")
        known = _OF_STUDENT.fullmatch("/".join(parts[place + 2 :]))
    else:
        place = len(parts) - 1
        known = _OF_RUN.fullmatch(parts[-1])
    return known is not None and _not_ended(path.joinpath(*parts[:place]))


def _not_ended(home: Path) -> bool:
    """Whether a folder is that of a run that has not ended; other folders may have a ``config.json`` as well."""
    if (home / MANIFEST).exists():
        return False
    try:
        body = orjson.loads((home / CONFIG).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(body, dict) and isinstance(body.get("kind"), str)
