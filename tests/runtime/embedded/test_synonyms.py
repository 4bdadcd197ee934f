"""Synonyms: other words in the same sentence, and nothing else changes."""

from __future__ import annotations

import random

import pytest
from dstill.runtime.derive import derive
from dstill.runtime.embedded import concepts, lexicon, synonyms


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synonyms, "SHARE", 1.0)


def swapped(text: str, n: int = 60) -> set[str]:
    return {synonyms.swap(text, derive(0, i)) for i in range(n)}


def test_there_are_many_sets() -> None:
    assert len(lexicon.lines("synonyms.txt")) >= 150


def test_no_phrase_is_taken_out_by_two_sets_or_swapped_for_itself() -> None:
    for word, others in synonyms.table().items():  # a phrase in two sets raises
        assert word not in others
        assert len(set(others)) == len(others)


@pytest.mark.usefixtures("always")
def test_words_are_swapped_at_their_borders_and_with_their_capital() -> None:
    assert swapped("Parcels of the workshop.") == {"Packages of the workshop."}
    assert swapped("the parcel, my shop-window") == {"the package, my shop-window"}
    assert swapped("Parcel?") == {"Package?"}


@pytest.mark.usefixtures("always")
def test_a_word_with_a_star_is_only_put_in() -> None:
    assert "store" in {w for text in swapped("a shop") for w in text.split()}
    assert swapped("a store") == {"a store"}


@pytest.mark.usefixtures("always")
def test_the_longest_phrase_wins_and_a_single_one_is_kept() -> None:
    assert swapped("as soon as") == {"the moment"}
    assert swapped("Never again") == {"Never again"}
    assert swapped("again") == {"once more"}


@pytest.mark.usefixtures("always")
def test_slots_keep_their_names_and_values() -> None:
    for i in range(40):
        slots = lexicon.Slots(derive(1, i), "train")
        text = synonyms.vary("The photo of the {color} {item}.", derive(2, i), slots)
        assert text == f"The picture of the {slots('color')} {slots('item')}."


def test_a_slot_with_an_s_is_a_plural() -> None:
    for i in range(40):
        slots = lexicon.Slots(derive(1, i), "train")
        text = synonyms.vary("{is_fruit}s from {first}'s tree", derive(2, i), slots)
        assert text == f"{lexicon.plural(slots('is_fruit'))} from {slots('first')}'s tree"
    assert lexicon.plural("cherry") == "cherries" and lexicon.plural("goose") == "geese"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a error, an parcel", "an error, a parcel"),
        ("A orange lamp and an used one", "An orange lamp and a used one"),
        ("a hour in an university", "an hour in a university"),
        ("a one-way trip, a euro, an SMS", "a one-way trip, a euro, an SMS"),
        ("a unhappy uncle, a uninvited guest", "an unhappy uncle, an uninvited guest"),
    ],
)
def test_articles_follow_the_sound(text: str, right: str) -> None:
    assert synonyms.articles(text) == right


def test_about_a_third_is_swapped() -> None:
    texts = [synonyms.swap("parcel", derive(3, i)) for i in range(1000)]
    assert 0.25 < texts.count("package") / 1000 < 0.45


def test_the_same_chance_gives_the_same_words() -> None:
    template = "I [bought|ordered] a {item} in your shop, but the parcel is missing."
    for i in range(20):
        first, again = (synonyms.vary(template, derive(4, i), lexicon.Slots(derive(5, i), "train")) for _ in range(2))
        assert first == again


def test_messages_use_both_words_of_a_set() -> None:
    written = " ".join(concepts.support_message(random.Random(i), "train", "late") for i in range(300))
    assert "parcel" in written and "package" in written
