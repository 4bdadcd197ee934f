"""Students whose tokenizer writes no line breaks and begins a text with a space, as T5's does: answers are one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import fakes
import pytest
import tiny_models
from dstill.distill import Collect, TrainSeq2Seq
from dstill.distill.stages.common import open_tokenizer
from dstill.distill.students import student_engine
from dstill.distill.students.alignment import leads, writes_breaks
from dstill.distill.students.formats import Format
from dstill.runtime import LM
from dstill.runtime.engines.local.grammar import Automaton
from students import FAST, teacher
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import dstill

TWO = dspy.Signature("text -> reasoning, colour")
SAID = {"reasoning": "it is\n\n a colour: red", "colour": "red"}


def without_breaks(folder: Path) -> Path:
    """A T5 with a tokenizer like its own: SentencePiece's unigrams, to which all white space is one blank."""
    made = tiny_models.seq2seq(folder)
    words = Tokenizer(models.Unigram())
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.Metaspace()
    text = [f"[[ ## colour ## ]] {one} [[ ## completed ## ]] thing number" for one in fakes.COLOURS]
    letters = [chr(sign) for sign in range(33, 127)]
    special = ["<pad>", "</s>", "<unk>"]
    words.train_from_iterator(text * 20, trainers.UnigramTrainer(
        vocab_size=200, special_tokens=special, unk_token="<unk>", initial_alphabet=letters, show_progress=False
    ))  # fmt: skip
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(made)
    return made


def form(style: Any, **more: Any) -> Format:
    return Format.of(TWO, outputs=["reasoning", "colour"], style=style, adapter="chat", breaks=False, lead=True, **more)


@pytest.mark.parametrize("style", ["chat", "inputs", "bare"])
def test_answers_are_one_line_and_come_back(style: Any) -> None:
    made = form(style)
    answer = made.answer(SAID)
    assert "\n" not in answer and "  " not in answer
    assert made.read(answer) == {"reasoning": "it is a colour: red", "colour": "red"} or style == "bare"
    chat = dspy.ChatAdapter().parse(TWO, made.translate(answer))
    assert chat["reasoning"].startswith("it is a")
    plain = {"reasoning": "so it is", "colour": "red"}
    assert made.read(made.answer(plain)) == plain
    assert Automaton(made.grammar()).accepts(f" {made.answer(plain)}".encode())
    assert not Automaton(made.grammar()).accepts(f" {made.answer(plain)}".replace("colour", "\ncolour", 1).encode())
    assert Format.load(made.dump()) == made


def test_an_answer_of_the_programs_own_form_is_broken_into_lines() -> None:
    made = form("program")
    assert dspy.ChatAdapter().parse(TWO, made.translate(made.answer(SAID)))["colour"] == "red"


def test_such_a_student_can_be_trained_and_asked(tmp_path: Path, bases: dict[str, str]) -> None:
    base = str(without_breaks(tmp_path / "t5"))
    tokenizer = open_tokenizer(base)
    assert not writes_breaks(tokenizer) and leads(tokenizer)
    assert writes_breaks(open_tokenizer(bases["causal"])) and not leads(open_tokenizer(bases["causal"]))
    task = fakes.task()
    stages = [Collect(keep="all"), TrainSeq2Seq(training=FAST, style="inputs")]
    dstill.distill(teacher(tmp_path, task), task, base, stages, run=tmp_path / "small")
    engine = student_engine(tmp_path / "small" / "students" / "self")
    with dspy.context(lm=LM(engine)):
        assert dspy.Predict(fakes.Paint)(text="thing number 7").colour in fakes.COLOURS
