"""Episodes about the form of an answer: lists, JSON objects, counts, truth values, a choice among given words."""

from __future__ import annotations

import random
from collections.abc import Callable

from .episode import Episode, Field, Sig, demo_count, field_name
from .lexicon import Split, categories, plural, words

Job = tuple[str, Field, str, Callable[[], tuple[str, object]]]  # instruction, output, input name, make (input, gold)


def _choose(rng: random.Random, split: Split, *wordings: str) -> str:
    """One of the wordings; the last is the held-out split's."""
    return wordings[-1] if split == "held" else rng.choice(wordings[:-1])


def mixed(rng: random.Random, key: str, n: int, m: int) -> tuple[list[str], list[str]]:
    """n words of a kind, and the same mixed with m words of other kinds; in the order of the text."""
    others = [w for k in rng.sample([k for k in categories() if k != key], m) for w in [rng.choice(words(k))]]
    own = rng.sample(words(key), n)
    every = rng.sample(own + [w for w in others if w not in words(key)], n + sum(w not in words(key) for w in others))
    return every, [w for w in every if w in own]


def _pick_list(rng: random.Random, split: Split) -> Job:
    key = rng.choice(categories())
    kind = plural(key[3:])
    told = _choose(
        rng,
        split,
        f"List all {kind}.",
        f"Give the {kind} as a list.",
        f"Which {kind} are there?",
        f"Find the {kind} in the text.",
        f"Write down every one of the {kind}.",
    )

    def make() -> tuple[str, object]:
        every, own = mixed(rng, key, rng.randint(0, 3), rng.randint(1, 3))
        return ", ".join(every), own

    return told, Field(rng.choice(("items", "found", kind.replace(" ", "_"), "answer")), "list[str]"), "text", make


def _split_list(rng: random.Random, split: Split) -> Job:
    told = _choose(
        rng,
        split,
        "Make a list of the words.",
        "Give the parts as a list.",
        "Turn the text into a list.",
        "Write the words as a list.",
    )

    def make() -> tuple[str, object]:
        own = rng.sample(words(rng.choice(categories())), rng.randint(1, 4))
        return (" and ".join(own) if len(own) < 3 else ", ".join(own[:-1]) + " and " + own[-1]), own

    return told, Field(rng.choice(("items", "parts", "words", "list")), "list[str]"), "text", make


def _record(rng: random.Random, split: Split) -> Job:
    keys = rng.choice((("name", "town"), ("name", "job"), ("name", "color", "thing")))
    lists = {"name": "first", "town": "town", "job": "job", "color": "color", "thing": "item"}
    names = " and ".join(keys)
    told = _choose(
        rng,
        split,
        f"Give {names} as JSON.",
        f"Make an object with {names}.",
        f"Write a record of {names}.",
        f"Find {names} and write an object.",
    )

    def make() -> tuple[str, object]:
        gold = {k: rng.choice(words(lists[k], split)) for k in keys}
        rest = {
            "town": f"{gold['name']} lives in {gold.get('town')}.",
            "job": f"{gold['name']} is a {gold.get('job')}.",
            "thing": f"{gold['name']} has a {gold.get('color')} {gold.get('thing')}.",
        }
        return rest[keys[-1]], gold

    return told, Field(rng.choice(("record", "result", "data")), "dict[str, str]"), "sentence", make


def _amounts(rng: random.Random, split: Split) -> Job:
    told = _choose(
        rng,
        split,
        "How many of each?",
        "Count the things.",
        "Give the number of each thing as JSON.",
        "Make an object of thing and number.",
    )

    def make() -> tuple[str, object]:
        own = rng.sample(words("shopthing"), rng.randint(1, 3))
        gold = {plural(w): rng.randint(2, 20) for w in own}
        return "I need " + " and ".join(f"{n} {w}" for w, n in gold.items()) + ".", gold

    return told, Field(rng.choice(("counts", "amounts", "order")), "dict[str, int]"), "order_text", make


def _count(rng: random.Random, split: Split) -> Job:
    key = rng.choice(categories())
    kind = plural(key[3:])
    told = _choose(
        rng,
        split,
        f"Count the {kind}.",
        f"How many {kind} are there?",
        f"Say how many {kind} you find.",
        f"Give the number of {kind}.",
    )

    def make() -> tuple[str, object]:
        every, own = mixed(rng, key, rng.randint(0, 4), rng.randint(1, 2))
        return ", ".join(every), len(own)

    return told, Field(rng.choice(("count", "number", "answer")), "int"), "text", make


def _holds(rng: random.Random, split: Split) -> Job:
    key = rng.choice(categories())
    kind = key[3:]
    told = _choose(
        rng,
        split,
        f"Is there a {kind} in the text?",
        f"Does the text name a {kind}?",
        f"Say whether a {kind} is mentioned.",
        f"Do you see a {kind}?",
    )

    def make() -> tuple[str, object]:
        every, own = mixed(rng, key, rng.randint(0, 1), rng.randint(1, 3))
        return ", ".join(every), bool(own)

    return told, Field(rng.choice(("found", "answer", "is_there")), "bool"), "text", make


def _extreme(rng: random.Random, split: Split) -> Job:
    most = rng.random() < 0.5
    told = _choose(
        rng,
        split,
        f"Find the {'largest' if most else 'smallest'} number.",
        f"Which number is the {'largest' if most else 'smallest'}?",
        f"Give the {'largest' if most else 'smallest'} of the numbers.",
    )

    def make() -> tuple[str, object]:
        numbers = rng.sample(range(1, 100), rng.randint(2, 4))
        return ", ".join(map(str, numbers)), max(numbers) if most else min(numbers)

    return told, Field(rng.choice(("answer", "number")), "int"), "numbers", make


def _table(rng: random.Random, split: Split) -> Job:
    told = _choose(
        rng,
        split,
        "Look up the price in the table.",
        "Read the price from the table.",
        "What does it cost? Use the table.",
        "Find the price.",
    )

    def make() -> tuple[str, object]:
        own = rng.sample(words("shopthing"), rng.randint(2, 4))
        prices = rng.sample(range(1, 60), len(own))
        rows = "\n".join(f"| {w} | {p} |" for w, p in zip(own, prices, strict=True))
        i = rng.randrange(len(own))
        return f"| thing | price |\n{rows}\nPrice of {own[i]}?", prices[i]

    return told, Field("price", "int"), "table", make


def _nth(rng: random.Random, split: Split) -> Job:
    which = rng.choice(("first", "last", "second"))
    told = _choose(
        rng,
        split,
        f"Give the {which} word.",
        f"What is the {which} word?",
        f"Write the {which} word.",
        f"Copy the {which} word of the text.",
    )

    def make() -> tuple[str, object]:
        own = rng.sample(words(rng.choice(categories())) + words("adjective"), rng.randint(2, 5))
        return " ".join(own), own[{"first": 0, "second": 1, "last": -1}[which]]

    return told, Field(rng.choice(("word", "answer", "result"))), "text", make


def _among(rng: random.Random, split: Split) -> Job:
    keys = rng.sample(categories(), rng.randint(2, 5))
    told = _choose(rng, split, "Choose the kind of the thing.", "Which kind is it?", "What is it?", "Say what it is.")
    kinds = tuple(k[3:] for k in keys)

    def make() -> tuple[str, object]:
        k = rng.choice(keys)
        return rng.choice(words(k)), k[3:]

    return told, Field(rng.choice(("kind", "answer", "choice")), "Literal", choices=kinds), "thing", make


_JOBS = (_pick_list, _split_list, _record, _amounts, _count, _holds, _extreme, _table, _nth, _among)


def formatting(rng: random.Random, split: Split, n_demos: int = -1) -> Episode:
    """An episode of one such job; sometimes the instruction is left out and the demonstrations must do."""
    told, out, usual, make = rng.choice(_JOBS)(rng, split)
    source = field_name(rng, (usual,), output=False)
    count = n_demos if n_demos >= 0 else demo_count(rng, 6)
    silent = count >= 2 and rng.random() < 0.1
    turns = []
    for _ in range(count + 1):
        given, gold = make()
        turns.append({source: given, out.name: gold})
    if out.name == source:
        return formatting(rng, split, n_demos)
    weights = tuple({out.name: 0.3} if silent and i == 0 else {} for i in range(len(turns)))
    sig = Sig((Field(source),), (out,), "" if silent else told)
    return Episode(sig, tuple(turns), f"formats/{out.type}", weights, facts={"answer": out.name})
