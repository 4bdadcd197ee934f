"""The language: seeded, rich, and split so that nothing held out is ever seen in training."""

from __future__ import annotations

import random
import statistics

import pytest
from dstill.runtime.derive import derive
from dstill.runtime.embedded import arithmetic, concepts, curriculum, grammar, lexicon, relations, themes


def test_a_template_chooses_fills_and_tidies() -> None:
    seen = {grammar.expand("[A|An old] {x}[ now|] , {x}.", derive(0, i), lambda slot: slot.upper()) for i in range(40)}
    assert seen == {"A X now, X.", "A X, X.", "An old X now, X.", "An old X, X."}


@pytest.mark.parametrize("broken", ["[a|b", "a]", "{slot"])
def test_a_broken_template_is_refused(broken: str) -> None:
    with pytest.raises(ValueError):
        grammar.parse(broken)


def test_a_slot_keeps_its_value_and_numbered_ones_differ() -> None:
    for i in range(50):
        slots = lexicon.Slots(derive(0, i), "train")
        assert slots("first") == slots("first") != slots("first2")


def test_every_template_of_the_corpus_is_whole() -> None:
    for path in sorted(lexicon.CORPUS.glob("*.txt")):
        for line in lexicon.lines(path.name):
            assert grammar.parse(line)


@pytest.mark.parametrize("family", curriculum.FAMILIES)
def test_every_family_has_held_out_episodes(family: str) -> None:
    for i in range(60):
        e = curriculum.FAMILIES[family][2](derive(5, family, i), "held", 1.0)
        assert e.answer()


@pytest.mark.parametrize("hardness", [0.0, 0.1, 0.25, 0.4, 0.5, 0.75])
def test_the_whole_curriculum_has_held_out_episodes(hardness: float) -> None:
    for i in range(60):
        e = curriculum.episode(derive(9, str(hardness), i), "held", hardness)
        assert e.answer()


@pytest.mark.parametrize("family", curriculum.FAMILIES)
def test_no_two_fields_have_the_same_name(family: str) -> None:
    for i in range(1200):
        sig = curriculum.FAMILIES[family][2](derive(5, family, i), "train", 1.0).sig
        names = [f.name for f in (*sig.inputs, *sig.outputs)]
        assert len(names) == len(set(names)), names


def test_the_same_seed_gives_the_same_episodes() -> None:
    for i in range(60):
        assert curriculum.episode(derive(3, i)) == curriculum.episode(derive(3, i))
    assert curriculum.episode(derive(3, 0)) != curriculum.episode(derive(4, 0))


@pytest.mark.parametrize("key", ["first", "last", "town", "country", "street", "label_word"])
def test_names_are_split(key: str) -> None:
    train, held = set(lexicon.words(key, "train")), set(lexicon.words(key, "held"))
    assert train and held and not train & held


def test_made_up_words_are_split() -> None:
    rng = random.Random(0)
    train, held = ({lexicon.pseudo_word(rng, split) for _ in range(2000)} for split in ("train", "held"))
    assert not train & held


def test_no_sentence_is_in_both_splits() -> None:
    written: dict[str, set[str]] = {"train": set(), "held": set()}
    for split, texts in written.items():
        texts_only = (s for s in concepts.sources(split) if s.key != "theme_word")  # type: ignore[arg-type]
        for source in texts_only:
            for i in range(1500):
                rng = derive(7, split, source.key, i)
                texts.add(rng.choice(source.concepts).write(rng, split))  # type: ignore[arg-type]
    assert len(written["train"]) > 4000
    assert not written["train"] & written["held"]


def test_no_wording_is_in_both_splits() -> None:
    for name in ("support.txt", "topics.txt", "feelings.txt", "classify.txt", "arithmetic.txt", "reading.txt"):
        for block in concepts._blocks(name)[0]:
            train, held = (set(concepts.wordings(name, block.key, s)) for s in ("train", "held"))
            assert train and held and not train & held, f"{name}: {block.key}"


def test_held_out_families_are_never_a_class_in_training() -> None:
    train = {c.key for s in concepts.sources("train") for c in s.concepts}
    assert not train & {*concepts.HELD_TOPICS, *concepts.HELD_CATEGORIES, *themes.HELD}
    assert {*themes.HELD} == {c.key for c in concepts.theme_source(held=True).concepts}
    assert "time" not in {s.key for s in concepts.sources("train")}


def test_support_messages_have_the_length_of_real_ones() -> None:
    source = concepts.support_source()
    rng = random.Random(0)
    lengths = [len(rng.choice(source.concepts).write(rng, "train").split()) for _ in range(800)]
    assert 15 <= statistics.median(lengths) <= 30


def test_the_language_has_a_few_thousand_words() -> None:
    words: set[str] = set()
    for i in range(3000):
        for _, pieces in curriculum.episode(derive(1, i)).conversation():
            words.update(w.strip(".,?!:;'\"()[]{}").lower() for text, _ in pieces for w in text.split())
    assert sum(w.isalpha() for w in words) > 2000


def test_a_word_stands_in_one_theme_only_and_every_theme_has_all_parts() -> None:
    seen: dict[str, str] = {}
    for theme in themes.themes():
        assert set(theme.words) == set(themes.PARTS) and min(map(len, theme.words.values())) >= 3
        for word in (w for part in theme.words.values() for w in part):
            assert seen.setdefault(word, theme.key) == theme.key
    assert len(seen) > 2000


def test_sentences_of_a_theme_use_its_words_and_no_blank_stays() -> None:
    for theme in themes.themes():
        for i in range(20):
            text = theme.text(derive(2, theme.key, i), "train")
            assert not set(text) & set("{}[]|"), text


def test_frames_fit_every_theme() -> None:
    assert not set(themes.frames("train")) & set(themes.frames("held"))
    for frame in (*themes.frames("train"), *themes.frames("held")):
        assert any(f"{{{part}" in frame or f":{part}" in frame for part in themes.PARTS), frame


def test_the_odd_word_is_of_another_theme() -> None:
    home = {w: t.key for t in themes.themes() for part in t.words.values() for w in part}
    for i in range(50):
        e = relations.odd(derive(3, i), "train", n_demos=0)
        words, (odd,) = str(e.turns[0][e.sig.inputs[0].name]).split(", "), [e.turns[0][e.sig.outputs[0].name]]
        others = {home[w] for w in words if w != odd}
        assert len(others) == 1 and home[str(odd)] not in others


def test_the_steps_of_a_word_problem_lead_to_its_result() -> None:
    for i in range(400):
        steps = 1 + i % 3
        p = arithmetic.problem(derive(4, i), "held" if i % 2 else "train", steps, 20)
        said = [s.strip().split(" = ") for s in p.steps.removesuffix(".").split(".")]
        assert len(said) == steps and int(said[-1][1]) == p.result > 0
        for left, right in said:
            a, op, b = left.split()
            assert {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[op] == int(right)
        for number in {n for left, _ in said for n in left.split()[::2]} - {right for _, right in said}:
            assert (
                number in p.question.split()
                or number in p.question.replace("?", " ").replace(",", " ").replace(":", " ").replace(".", " ").split()
            )


def test_a_drill_is_made_of_true_sums() -> None:
    text = "".join(piece for piece, _ in arithmetic.drill(derive(5)).answer())
    for line in text.strip().splitlines():
        left, right = line.removesuffix(".").split(" = ")
        a, op, b = left.split()
        assert {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[op] == int(right)
