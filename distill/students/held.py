"""Which answers a generative student may give: its decoder holds it to the form of its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ...runtime.engines.local.grammar import Automaton
from .formats import Format


def barrier(tokenizer: Any, form: Format) -> Callable[[Mapping[str, str]], str | None]:
    """What tells of an answer the field, and its value, that the student would be kept from writing; ``None`` where it
    may write it all. What is learned and then forbidden would end in something else each time, and say nothing."""
    from ...runtime.engines.local.constrain import tells_bytes

    part = form.grammar() if tells_bytes(tokenizer) else None
    if part is None:
        return lambda outputs: None
    whole = Automaton(part)

    @cache
    def alone(name: str) -> tuple[Automaton, Format]:
        one = replace(form, outputs=(name,))
        return Automaton(one.grammar()), one

    def barred(outputs: Mapping[str, str]) -> str | None:
        if _fits(whole, form, outputs):
            return None
        for name in form.outputs:
            if not _fits(*alone(name), outputs):
                return f"{name} = {_short(outputs[name])}"
        return _short(form.answer(outputs))

    return barred


def _fits(automaton: Automaton, form: Format, outputs: Mapping[str, str]) -> bool:
    return automaton.accepts(f"{' ' if form.lead else ''}{form.answer(outputs)}".encode(errors="surrogatepass"))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
