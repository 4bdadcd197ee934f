"""IFEval: every instruction with a text that follows it and one that just misses, and strict against loose."""

from __future__ import annotations

import sys
from typing import Any

import dspy
import pytest
from dstill.programs import metrics
from dstill.programs.metrics import ifeval_checks
from dstill.programs.metrics.ifeval import followed, loose_forms
from dstill.programs.metrics.ifeval_checks import CHECKS, capital_words, follows, language, sentences
from dstill.runtime import BadInput

LESS, MORE = "less than", "at least"
ENGLISH = "this is a plain sentence that is surely written in the english language"
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["intern", "grow"]}, "Internal growth", "An intern"),
    ("keywords:frequency", {"keyword": "a.b", "frequency": 2, "relation": MORE}, "a.b A.B", "a.b axb"),
    ("keywords:frequency", {"keyword": "no", "frequency": 2, "relation": LESS}, "no", "no, no"),
    ("keywords:forbidden_words", {"forbidden_words": ["fuel", "car"]}, "refuels cars", "The FUEL."),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 2, "let_relation": MORE}, "eE", "e"),
    ("language:response_language", {"language": "de"}, "Das ist ein Satz auf Deutsch, ganz ohne Zweifel.", ENGLISH),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": MORE}, "One. Two!", "Dr. Who is here."),
    ("length_constraints:number_words", {"num_words": 3, "relation": LESS}, "two words", "three good words"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***", "a *** *** b"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        "a\n\n'then, b",
        "a\n\nthens b",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] and [b c]", "[a\n] and [b]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "x\np. s. more", "x\nps more"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "x P.P.S. more", "x P.S. more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, " * a\n- b\n**c**", "* a"),
    ("detectable_format:constrained_response", {}, "Well: My answer is maybe.", "maybe."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and *b*", "*a* and **"),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}, "SECTION 1 a SECTION2",
     "SECTION one SECTION 2"),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{'a': 1}"),
    ("detectable_format:title", {}, "so <<poem of joy>>", "<< >>"),
    ("combination:two_responses", {}, "a ****** b", "a ****** a"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it. "}, " say it. Done", "I say it."),
    ("startend:end_checker", {"end_phrase": "Yes, Dave."}, 'So "yes, dave."', "Yes, Dave. Bye"),
    ("startend:quotation", {}, ' "all of it" ', '"'),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": MORE}, "I SAY it", "I say it"),
    ("change_case:english_capital", {}, ENGLISH.upper(), ENGLISH.title()),
    ("change_case:english_lowercase", {}, ENGLISH, ENGLISH.title()),
    ("punctuation:no_comma", {}, "none; here", "one, here"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wants", "good", "bad"), CASES)
def test_an_instruction(name: str, wants: dict[str, Any], good: str, bad: str) -> None:
    assert follows(name, wants, good)
    assert not follows(name, wants, bad)
    assert not follows(name, wants, " \n")


def test_every_instruction_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(CHECKS)
    assert len(CHECKS) == 25


@pytest.mark.parametrize(
    ("name", "wants", "words"),
    [
        ("keywords:poetry", {}, "no instruction 'keywords:poetry'.*keywords:existence"),
        ("length_constraints:number_words", {"num_words": 3, "relation": None}, "no relation; it needs: num_words"),
        (
            "length_constraints:number_words",
            {"num_words": "3", "relation": LESS},
            "num_words is '3', expected a number",
        ),
        ("length_constraints:number_words", {"num_words": 3, "relation": "over"}, "'over', expected one of: less than"),
        ("keywords:existence", {"keywords": "one"}, "keywords is 'one', expected a list of texts"),
    ],
)
def test_what_is_no_instruction_is_named(name: str, wants: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        follows(name, wants, "text")
    example = dspy.Example(instruction_id_list=[name], kwargs=[wants])
    found = metrics.ifeval("r")(example, dspy.Prediction(r="text"))
    assert found.value is None


@pytest.mark.parametrize(
    ("text", "count"),
    [("One. Two! Three?", 3), ("Mr. Smith, e.g. here, left.", 1), ('He said "Go." Then left.', 2), ("no end", 1),
     ("A 3.5 percent rise. J. Smith said so...", 2), ("", 0)],
)  # fmt: skip
def test_sentences(text: str, count: int) -> None:
    assert sentences(text) == count


def test_capital_words_and_languages() -> None:
    assert capital_words("I saw NASA's WELL-KNOWN U.S. Team, OK?") == 5
    assert language("12345 !!") is None
    assert {language(ENGLISH) for _ in range(20)} == {"en"}


def test_loose_forgives_a_first_line_a_last_line_and_asterisks() -> None:
    ids, kwargs = ["change_case:english_lowercase", "startend:quotation"], [{}, {}]
    text = f'Sure, here it is:\n**"{ENGLISH}"**\nBye!'
    assert followed(text, ids, kwargs) == [False, False]
    assert followed(text, ids, kwargs, loose=True) == [True, True]
    assert len(loose_forms("a*\nb*\nc*")) == 8
    strict, loose = metrics.ifeval("r"), metrics.ifeval("r", loose=True)
    example = dspy.Example(instruction_id_list=ids, kwargs=kwargs)
    assert strict(example, dspy.Prediction(r=text)).value == 0
    assert loose(example, dspy.Prediction(r=text)).value == 1


def test_by_prompt_and_by_instruction() -> None:
    example = dspy.Example(
        instruction_id_list=["punctuation:no_comma", "keywords:existence"],
        kwargs=[{"keywords": None}, {"keywords": ["joy"], "num_words": None}],
    )
    half = dspy.Prediction(r="nothing here")
    assert metrics.ifeval("r")(example, half).value == 0
    found = metrics.ifeval("r", level="instruction")(example, half)
    assert found == metrics.Score(0.5, "Not followed: keywords:existence {'keywords': ['joy']}.")
    assert metrics.ifeval("r")(example, dspy.Prediction(r="joy")).value == 1
    with pytest.raises(BadInput, match="expected prompt or instruction"):
        metrics.ifeval("r", level="word")


@pytest.mark.parametrize(
    "example",
    [
        {"instruction_id_list": ["punctuation:no_comma"]},
        {"instruction_id_list": [], "kwargs": []},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": []},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": ["x"]},
        {"instruction_id_list": [3], "kwargs": [{}]},
        {"instruction_id_list": "punctuation:no_comma", "kwargs": {}},
    ],
)
def test_a_broken_example_cannot_be_scored(example: dict[str, Any]) -> None:
    assert metrics.ifeval("r")(dspy.Example(**example), dspy.Prediction(r="x")).value is None


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langdetect.detector_factory", None)
    ifeval_checks._detectors.cache_clear()
    with pytest.raises(BadInput, match=r"langdetect: pip install 'dstill\[metrics\]'"):
        metrics.ifeval("r")
    ifeval_checks._detectors.cache_clear()
