"""The verifiable instructions of IFEval, one check for each id: does a text follow the instruction?

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models", 2023 (arXiv:2311.07911), table 1; ids
and keyword arguments are those of the published data. Written from the definitions, with these differences from the
authors' script: keywords are literal text and not regular expressions; sentences end at ``. ! ?`` before white space
(known abbreviations excepted) and capital words are runs of letters and digits, where the script asks models of NLTK
that must be fetched; languages are told by langdetect with a fixed seed, where the script's answers vary; a line with
an asterisk alone is no bullet. Every check takes time linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeAlias

from ...runtime.errors import BadInput

Wants: TypeAlias = Mapping[str, Any]
"""The keyword arguments of an instruction."""
Check: TypeAlias = Callable[[str, Wants], bool]

_RELATIONS = ("less than", "at least")
_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|No|Fig|Inc|Ltd|Co)|\b[A-Z])\.$")
_TOLD_BY = 20_000
"""Characters of a text that its language is told by."""


def follows(instruction: str, wants: Wants, text: str) -> bool:
    """Whether a text follows an instruction; empty text follows none.

    Args:
        instruction: an id such as ``length_constraints:number_words``.
        wants: its keyword arguments; those that are ``None`` count as left out, as the published data has it.

    Raises:
        BadInput: for an unknown id, a missing argument, or one that makes no sense.
    """
    if instruction not in CHECKS:
        raise BadInput(f"IFEval has no instruction {instruction!r}; expected one of: {', '.join(sorted(CHECKS))}")
    check, needed = CHECKS[instruction]
    given = {name: value for name, value in wants.items() if value is not None}
    missing = [name for name in needed if name not in given]
    if missing:
        raise BadInput(f"{instruction}: no {', '.join(missing)}; it needs: {', '.join(needed)}")
    for name in needed:
        if not isinstance(given[name], _KINDS.get(name, str)):
            raise BadInput(f"{instruction}: {name} is {given[name]!r}, expected {_wanted(name)}")
        if name.endswith("relation") and given[name] not in _RELATIONS:
            raise BadInput(f"{instruction}: {name} is {given[name]!r}, expected one of: {', '.join(_RELATIONS)}")
    return bool(text.strip()) and check(text, given)


def sentences(text: str) -> int:
    """How many sentences a text has: runs that end in ``. ! ?`` before white space, abbreviations excepted."""
    count, open_ = 0, False
    for piece in re.split(r"(?<=[.!?])[\"'”’)\]]*\s+", text):
        if not re.search(r"\w", piece):
            continue
        open_ = _ABBREVIATION.search(piece[-12:]) is not None
        count += not open_
    return count + open_


def capital_words(text: str) -> int:
    """How many words are all in capitals, one-letter ones included; compounds such as WELL-KNOWN count once."""
    return sum(word.isupper() for word in re.findall(r"[^\W_]+(?:[-.&][^\W_]+)*", text))


def language(text: str) -> str | None:
    """The ISO 639-1 code (or zh-cn, zh-tw) of a text's language; ``None`` where there is nothing to tell it by.

    Raises:
        BadInput: without the library langdetect.
    """
    detector = _detectors().create()
    try:
        detector.append(text[:_TOLD_BY])
        return str(detector.detect())
    except import_module("langdetect").LangDetectException:  # no letter in it
        return None


def needs_langdetect() -> None:
    """
    Raises:
        BadInput: without the library langdetect.
    """
    _detectors()


@lru_cache(maxsize=1)
def _detectors() -> Any:
    try:
        library = import_module("langdetect.detector_factory")
    except ImportError:
        raise BadInput("IFEval tells languages by langdetect: pip install 'dstill[metrics]'") from None
    made = library.DetectorFactory()
    made.load_profile(library.PROFILES_DIRECTORY)
    made.seed = 0  # detection draws at random
    return made


def _related(count: int, relation: str, threshold: float) -> bool:
    return count < threshold if relation == "less than" else count >= threshold


def _is_language(text: str, code: str) -> bool:
    return language(text) in (code, None)  # the authors count what cannot be told as followed


def _bullets(text: str) -> int:
    lines = [line.lstrip() for line in text.splitlines()]
    return sum(line.startswith("-") or (line.startswith("*") and line[1:2] not in ("", "*")) for line in lines)


def _highlights(text: str) -> int:
    once = re.findall(r"\*([^\n*]*)\*", text)
    twice = re.findall(r"\*\*([^\n*]*)\*\*", text)
    return sum(bool(part.strip()) for part in (*once, *twice))


def _placeholders(text: str) -> int:
    count = 0
    for line in text.splitlines():
        start = line.find("[")
        while start >= 0 and (end := line.find("]", start)) >= 0:
            count += 1
            start = line.find("[", end)
    return count


def _titled(text: str) -> bool:
    for line in text.splitlines():
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end and line[start:end].strip("<> \t"):
            return True
    return False


def _sections(text: str, wants: Wants) -> bool:
    found = re.findall(re.escape(wants["section_spliter"].strip()) + r"\s?\d", text)
    return bool(len(found) >= wants["num_sections"])


def _paragraphs(text: str, wants: Wants) -> bool:
    parts = [part.strip() for part in text.split("***")]
    if not all(parts[1:-1]):
        return False
    return bool(sum(map(bool, parts)) == wants["num_paragraphs"])


def _first_word(text: str, wants: Wants) -> bool:
    parts = text.split("\n\n")
    count, nth = sum(bool(part.strip()) for part in parts), int(wants["nth_paragraph"])
    if not 1 <= nth <= count or not parts[nth - 1].strip():
        return False
    word = re.split(r"[.,?!'\"]", parts[nth - 1].split()[0].lstrip("'\""))[0]
    return bool(count == wants["num_paragraphs"] and word.lower() == wants["first_word"].lower())


def _postscript(text: str, wants: Wants) -> bool:
    marker = wants["postscript_marker"].strip()
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return re.search(known.get(marker) or re.escape(marker.lower()), text.lower()) is not None


def _is_json(text: str) -> bool:
    inner = re.sub(r"^```(?:json)?", "", text.strip(), flags=re.IGNORECASE).removesuffix("```")
    try:
        json.loads(inner)
    except (ValueError, RecursionError):
        return False
    return True


def _two_responses(text: str, wants: Wants) -> bool:
    parts = [part.strip() for part in text.split("******")]
    said = [part for part in parts if part]
    return all(parts[1:-1]) and len(said) == 2 and said[0] != said[1]


def _occurrences(keyword: str, text: str) -> int:
    return len(re.findall(re.escape(keyword.strip()), text, flags=re.IGNORECASE))


def _has_word(word: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, flags=re.IGNORECASE) is not None


def _quoted(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == '"' == text[-1]


def _wanted(name: str) -> str:
    kind = _KINDS.get(name, str)
    return "text" if kind is str else "a list of texts" if kind is list else "a number"


_KINDS: dict[str, Any] = {
    "keywords": list, "forbidden_words": list, "frequency": (int, float), "let_frequency": (int, float),
    "capital_frequency": (int, float), "num_sentences": (int, float), "num_words": (int, float),
    "num_paragraphs": (int, float), "nth_paragraph": (int, float), "num_bullets": (int, float),
    "num_highlights": (int, float), "num_sections": (int, float), "num_placeholders": (int, float),
}  # fmt: skip
"""The types of arguments that are not text."""

CHECKS: dict[str, tuple[Check, tuple[str, ...]]] = {
    "keywords:existence": (lambda t, w: all(_occurrences(k, t) for k in w["keywords"]), ("keywords",)),
    "keywords:frequency": (
        lambda t, w: _related(_occurrences(w["keyword"], t), w["relation"], w["frequency"]),
        ("keyword", "frequency", "relation"),
    ),
    "keywords:forbidden_words": (
        lambda t, w: not any(_has_word(k, t) for k in w["forbidden_words"]),
        ("forbidden_words",),
    ),
    "keywords:letter_frequency": (
        lambda t, w: _related(t.lower().count(w["letter"].lower()), w["let_relation"], w["let_frequency"]),
        ("letter", "let_frequency", "let_relation"),
    ),
    "language:response_language": (lambda t, w: _is_language(t, w["language"]), ("language",)),
    "length_constraints:number_sentences": (
        lambda t, w: _related(sentences(t), w["relation"], w["num_sentences"]),
        ("num_sentences", "relation"),
    ),
    "length_constraints:number_words": (
        lambda t, w: _related(len(re.findall(r"\w+", t)), w["relation"], w["num_words"]),
        ("num_words", "relation"),
    ),
    "length_constraints:number_paragraphs": (_paragraphs, ("num_paragraphs",)),
    "length_constraints:nth_paragraph_first_word": (_first_word, ("num_paragraphs", "nth_paragraph", "first_word")),
    "detectable_content:number_placeholders": (
        lambda t, w: _placeholders(t) >= w["num_placeholders"],
        ("num_placeholders",),
    ),
    "detectable_content:postscript": (_postscript, ("postscript_marker",)),
    "detectable_format:number_bullet_lists": (lambda t, w: _bullets(t) == w["num_bullets"], ("num_bullets",)),
    "detectable_format:constrained_response": (lambda t, w: any(option in t for option in _OPTIONS), ()),
    "detectable_format:number_highlighted_sections": (
        lambda t, w: _highlights(t) >= w["num_highlights"],
        ("num_highlights",),
    ),
    "detectable_format:multiple_sections": (_sections, ("section_spliter", "num_sections")),
    "detectable_format:json_format": (lambda t, w: _is_json(t), ()),
    "detectable_format:title": (lambda t, w: _titled(t), ()),
    "combination:two_responses": (_two_responses, ()),
    "combination:repeat_prompt": (
        lambda t, w: t.strip().lower().startswith(w["prompt_to_repeat"].strip().lower()),
        ("prompt_to_repeat",),
    ),
    "startend:end_checker": (
        lambda t, w: t.strip().strip('"').lower().endswith(w["end_phrase"].strip().lower()),
        ("end_phrase",),
    ),
    "startend:quotation": (lambda t, w: _quoted(t), ()),
    "change_case:capital_word_frequency": (
        lambda t, w: _related(capital_words(t), w["capital_relation"], w["capital_frequency"]),
        ("capital_frequency", "capital_relation"),
    ),
    "change_case:english_capital": (lambda t, w: t.isupper() and _is_language(t, "en"), ()),
    "change_case:english_lowercase": (lambda t, w: t.islower() and _is_language(t, "en"), ()),
    "punctuation:no_comma": (lambda t, w: "," not in t, ()),
}
"""The check of every id, and the arguments that it needs."""
