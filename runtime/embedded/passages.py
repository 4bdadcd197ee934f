"""Episodes over a short passage: extraction of one or more values, questions of one or two hops, missing words."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .concepts import INTENTS, _blocks, say, sentence, support_message
from .episode import Episode, Field, Sig, demo_count, field_desc, field_name, with_reasoning
from .grammar import expand
from .lexicon import Slots, Split, article, held_out

_WHAT = {
    "order": ("order number", "number of the order", "order"),
    "first": ("first name", "name of the customer", "name"),
    "price": ("price", "amount", "sum of money"),
    "item": ("product", "item", "thing that was bought"),
    "day": ("day", "weekday"),
    "town": ("town", "city", "place"),
    "email": ("email", "mail address"),
    "month": ("month",),
    "job": ("job", "profession", "work"),
    "hobby": ("hobby", "pastime"),
    "color": ("color",),
    "relation": ("relative", "family member"),
}
_PERSON = (
    "{first} {last} is a {job} from {town}.",
    "{first} works as a {job} and likes {hobby}.",
    "My {relation} {first} moved to {town} in {month}.",
    "{first} bought a {color} {item} for {price} on {day}.",
    "In {month}, {first} won a prize for {hobby} in {town}.",
    "You can reach {first} {last} at {email} on {day}.",
    "{first}, who lives in {town}, ordered a {item} for {price}.",
    "The {color} {item} belongs to {first}, the {job}.",
    "A {job} named {first} found a {item} in {town}.",
    "On {day} a {item} was sent to {first} in {town}.",
)


def _people(split: Split) -> list[str]:
    """The sentences about people that belong to the split."""
    return [t for i, t in enumerate(_PERSON) if held_out(i) == (split == "held")]


def passage(rng: random.Random, split: Split, wanted: tuple[str, ...], support: bool) -> tuple[str, dict[str, str]]:
    """A text that tells all of `wanted`, and the values of its slots."""
    person = _people(split)
    while True:
        slots = Slots(rng, split)
        if support:
            text = support_message(rng, split, rng.choice(INTENTS), slots=slots)
            if text.isupper() or text.islower():
                continue
        else:
            text = " ".join(expand(t, rng, slots) for t in rng.sample(person, min(len(person), rng.randint(1, 2))))
        found = {k: v for k, v in slots.values.items() if v in text}
        if all(w in found for w in wanted):
            return text, found


def extraction(rng: random.Random, split: Split, n_demos: int = -1) -> Episode:
    """Copy one value, or several into fields of their own, out of a text."""
    support = rng.random() < 0.5
    usual = ("order", "item", "day", "town", "price", "first") if support else ("first", "town", "job", "item")
    several = rng.random() < 0.3 and not support
    pairs = (("first", "town"), ("first", "item"), ("first", "job"))
    while True:  # until the split has sentences that tell of it: the held-out ones tell of no job
        wanted: tuple[str, ...] = rng.choice(pairs) if several else (rng.choice(usual),)
        if support or all(any(f"{{{w}}}" in t for t in _people(split)) for w in wanted):
            break
    noun = rng.choice(("message", "text", "note", "email"))
    what = {w: rng.choice(_WHAT[w]) for w in wanted}
    clear = rng.random() < 0.8
    names = {w: what[w].replace(" ", "_") for w in wanted}
    if not several and rng.random() < 0.4:
        names = {wanted[0]: field_name(rng, ("answer", "result", "value"), output=True)}
    text = field_name(rng, (noun,), output=False, taken=names.values())
    told = say("reading.txt", rng, split, "extract", what=" and ".join(what.values()), noun=noun) if clear else ""
    out = tuple(Field(names[w], desc=f"the {what[w]}" if rng.random() < 0.3 else "") for w in wanted)
    none = not several and clear and rng.random() < 0.2
    if none:
        told += rng.choice((" If it is not there, write none.", " Say none if it is missing."))
    turns: list[dict[str, object]] = []
    for _ in range((n_demos if n_demos >= 0 else demo_count(rng, 5)) + 1):
        missing = none and rng.random() < 0.3
        told_text, values = passage(rng, split, () if missing else wanted, support)
        turns.append({text: told_text, **{names[w]: values.get(w, "none") for w in wanted}})
    sig = Sig((Field(text, desc=field_desc(rng, noun)),), out, told)
    first = {} if clear else {names[w]: 0.3 for w in wanted}
    weights = (first, *({} for _ in turns[1:]))
    return Episode(sig, tuple(turns), "extraction", weights, facts={"answer": names[wanted[0]]})


@dataclass(frozen=True)
class Ask:
    """A question about a world."""

    question: str
    answer: str
    why: str
    needs: tuple[int, ...]
    """which of the facts it takes, in the order in which one needs them"""


def world(rng: random.Random, split: Split) -> tuple[list[str], list[Ask]]:
    """Facts about four people and their places, and questions about them."""
    s = Slots(rng, split)
    people = [s("first"), s("first2"), s("first3"), s("first4")]
    towns, places = [s("town"), s("town2"), s("town3")], [s("place"), s("place2"), s("place3")]
    jobs = [s("job"), s("job2"), s("job3"), s("job4")]
    kin = rng.choice(("brother", "sister", "friend", "neighbour", "cousin", "boss"))
    facts: list[str] = []
    asks: list[Ask] = []

    def fact(*wordings: str) -> int:
        facts.append(rng.choice(wordings))
        return len(facts) - 1

    lies = [fact(f"The {a} is in {b}.", f"You find the {a} in {b}.") for a, b in zip(places, towns, strict=True)]
    does = [fact(f"{p} is {article(j)}.") for p, j in zip(people, jobs, strict=True)]
    works = []
    for p, place, town, lie in zip(people, places, towns, lies, strict=False):
        work = fact(f"{p} works in the {place}.", f"The job of {p} is in the {place}.")
        works.append(work)
        asks.append(Ask(f"Where does {p} work?", place, f"{p} works in the {place}.", (work,)))
        why = f"{p} works in the {place}. The {place} is in {town}."
        again = rng.choice((f"Which town does {p} go to for work?", f"The job of {p} is in which town?"))
        asks += [Ask(q, town, why, (work, lie)) for q in (f"In which town does {p} work?", again)]
    a, b = people[3], people[0]
    known = f"The {kin} of {a} is {b}."
    k = fact(known)
    job = f"{known} {b} is {article(jobs[0])}."
    asks.append(Ask(f"What is the job of the {kin} of {a}?", jobs[0], job, (k, does[0])))
    work_there = f"{known} {b} works in the {places[0]}."
    asks.append(Ask(f"Where does the {kin} of {a} work?", places[0], work_there, (k, works[0])))
    asks.append(Ask(f"Who is the {kin} of {a}?", b, known, (k,)))
    second = f"{people[1]} is {article(jobs[1])}."
    asks.append(Ask(f"What is {people[1]}'s job?", jobs[1], second, (does[1],)))
    asks.append(Ask(f"Who is the {jobs[2]}?", people[2], f"{people[2]} is {article(jobs[2])}.", (does[2],)))
    why = f"The {places[1]} is in {towns[1]}. {people[1]} works in the {places[1]}."
    asks.append(Ask(f"Who works in {towns[1]}?", people[1], why, (lies[1], works[1])))
    return facts, asks


def questions(rng: random.Random, split: Split, n_demos: int = -1, reasoning: bool | None = None) -> Episode:
    """Questions over a paragraph of facts; about half need two of them."""
    think = rng.random() < 0.5 if reasoning is None else reasoning
    noun = rng.choice(("context", "paragraph", "passages", "text", "facts"))
    listed = rng.random() < 0.3
    answer = field_name(rng, ("answer", "answer", "response", "result"), output=True)
    ask = field_name(rng, ("question", "question", "query"), output=False, taken=(noun, answer))
    context = Field(noun, "list[str]" if listed else "str")
    out = (Field(answer, desc=rng.choice(("", "", "a short answer", "one or two words"))),)
    told = say("reading.txt", rng, split, "hop", noun=noun) if rng.random() < 0.7 else ""
    inputs = (context, Field(ask)) if rng.random() < 0.7 else (Field(ask), context)
    sig = Sig(inputs, with_reasoning(out) if think else out, told)
    turns: list[dict[str, object]] = []
    for _ in range((n_demos if n_demos >= 0 else demo_count(rng, 4)) + 1):
        facts, asks = world(rng, split)
        ask_it = rng.choice(asks)
        needed = [facts[n] for n in ask_it.needs]
        others = [f for f in facts if f not in needed]
        kept = needed + rng.sample(others, rng.randint(0, len(others)))
        rng.shuffle(kept)
        turns.append({noun: kept if listed else " ".join(kept), ask: ask_it.question, answer: ask_it.answer})
        if think:
            turns[-1]["reasoning"] = ask_it.why
    hidden = frozenset({"reasoning"}) if think and rng.random() < 0.3 else frozenset()
    return Episode(sig, tuple(turns), "questions", hidden=hidden, facts={"answer": answer})


_HOPS = (
    (("context", "question"), "fact", ("Give the fact.", "Find the first fact.", "Which fact helps?", "Copy a fact.")),
    (
        ("context", "fact"),
        "next_fact",
        ("Give the next fact.", "Find a second fact.", "What follows?", "Copy one more."),
    ),
    (("facts", "question"), "answer", ("Answer.", "Answer from the facts.", "Use the facts.", "Say what is asked.")),
)


def hops(rng: random.Random, split: Split, n_demos: int = -1) -> Episode:
    """One step of a question that needs two facts: the first fact, the next one, or the answer from both."""
    inputs, output, asks = rng.choice(_HOPS)
    told = asks[-1] if split == "held" else rng.choice(asks[:-1])
    turns: list[dict[str, object]] = []
    for _ in range((n_demos if n_demos >= 0 else demo_count(rng, 4)) + 1):
        facts, asks_of = world(rng, split)
        asked = rng.choice([ask for ask in asks_of if len(ask.needs) == 2])
        fact, after = (facts[n] for n in asked.needs)
        values = {"question": asked.question, "fact": fact, "next_fact": after, "answer": asked.answer}
        turns.append({**values, "context": " ".join(rng.sample(facts, len(facts))), "facts": f"{fact} {after}"})
    sig = Sig(tuple(map(Field, inputs)), (Field(output),), told)
    return Episode(sig, tuple(turns), "hops", facts={"answer": output})


def cloze(rng: random.Random, split: Split, n_demos: int = -1) -> Episode:
    """The missing word of a sentence, out of three. It teaches words of topics that are never classes."""
    blocks = [b for f in ("topics.txt", "feelings.txt", "support.txt") for b in _blocks(f)[0]]
    given, answer = rng.choice((("sentence", "word"), ("text", "missing_word"), ("gap_text", "answer")))
    told = rng.choice(("Which word is missing?", "Fill the gap.", "Find the word for the gap.", "What stands at ___?"))
    turns: list[dict[str, object]] = []
    while len(turns) < (n_demos if n_demos >= 0 else demo_count(rng, 6)) + 1:
        words = []
        for b in rng.sample(blocks, 3):
            file = next(f for f in ("topics.txt", "feelings.txt", "support.txt") if b in _blocks(f)[0])
            text = sentence(file, rng, split, b.key)
            long = [w for w in text.split() if w.isalpha() and len(w) > 3 and w.islower()]
            words.append((text, rng.choice(long) if long else ""))
        if not all(w for _, w in words):
            continue
        whole, gold = words[0]
        choice = rng.sample([w for _, w in words], 3)
        gap = whole.replace(gold, "___", 1)
        turns.append({given: gap, "choices": ", ".join(choice), answer: gold})
    return Episode(Sig((Field(given), Field("choices")), (Field(answer),), told), tuple(turns), "cloze")
