"""From a request's messages to a prompt's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dspy import lm15

from ...wire import Request


class Prompter:
    """A tokenizer and its chat template; plain role headings where the tokenizer has none.

    Args:
        tokenizer: a transformers tokenizer.
        context: the most tokens that the model reads and writes.
        name: the model's name, for messages.
    """

    def __init__(self, tokenizer: Any, context: int, name: str) -> None:
        self._tokenizer, self._context, self._name = tokenizer, context, name
        self._cached = lru_cache(maxsize=512)(self.encode)

    def messages(self, request: Request) -> list[dict[str, str]]:
        """Role and text of every message.

        Raises:
            lm15.UnsupportedFeatureError: for tools or anything that is not text.
        """
        if request.tools:
            raise lm15.UnsupportedFeatureError(f"{self._name} takes text only, no tools")
        found = [] if request.system is None else [{"role": "system", "content": request.system}]
        found += [{"role": m.role, "content": m.text} for m in request.messages]
        if any(not isinstance(m["content"], str) for m in found):
            raise lm15.UnsupportedFeatureError(f"{self._name} takes text only")
        return found

    def tokens(self, request: Request) -> list[int]:
        """The prompt's tokens.

        Raises:
            lm15.ContextLengthError: for a prompt that leaves no room for an answer, naming both lengths.
            lm15.InvalidRequestError: for messages that the chat template refuses, or of which it makes nothing.
        """
        messages = self.messages(request)
        ids = list(self._cached(tuple((m["role"], m["content"]) for m in messages)))
        if not ids:
            raise lm15.InvalidRequestError(
                f"the prompt has 0 tokens: the chat template of {self._name} leaves nothing of the messages; expected "
                "one that writes them out, or none at all"
            )
        if len(ids) >= self._context:
            raise lm15.ContextLengthError(
                f"the prompt has {len(ids):,} tokens, and {self._name} reads at most {self._context:,}, "
                "answer included: use fewer or shorter demonstrations, or a model with a longer context"
            )
        return ids

    def room(self, prompt: int, asked: int | None) -> int:
        """The longest answer in tokens after a prompt of so many."""
        room = self._context - prompt
        return room if asked is None else min(room, asked)

    def encode(self, messages: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
        """(role, text) messages as tokens, up to where the answer begins; of any length.

        Raises:
            lm15.InvalidRequestError: for messages that the chat template refuses.
        """
        # verbose=False: a prompt that is too long is refused by its caller, in our words.
        if self._tokenizer.chat_template is not None:
            text = rendered(self._tokenizer, messages, self._name)
            ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        else:
            parts = [f"{role.capitalize()}:\n{text}\n\n" for role, text in messages]
            ids = self._tokenizer("".join([*parts, "Assistant:\n"]), verbose=False)["input_ids"]
        return tuple(ids)


def rendered(tokenizer: Any, messages: Sequence[tuple[str, str]], name: str) -> str:
    """(role, text) messages as the tokenizer's chat template writes them, up to where the answer begins.

    Some templates know no system (Gemma's). What it says then stands before the first user message, where their makers
    put it too.

    Raises:
        lm15.InvalidRequestError: for messages that the template refuses, in its own words.
    """
    from jinja2 import TemplateError

    def written(some: Sequence[tuple[str, str]]) -> str:
        chat = [{"role": role, "content": text} for role, text in some]
        return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    try:
        try:
            return written(messages)
        except TemplateError:
            if all(role != "system" for role, _ in messages):
                raise
            return written(without_system(messages))
    except TemplateError as error:
        raise lm15.InvalidRequestError(
            f"the chat template of {name} refuses messages from {', '.join(role for role, _ in messages)}: {error}"
        ) from error


def without_system(messages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The messages with what the system says before the text of the first user message."""
    said = [text for role, text in messages if role == "system" and text]
    others = [(role, text) for role, text in messages if role != "system"]
    first = next((place for place, (role, _) in enumerate(others) if role == "user"), None)
    if first is None:
        return [("user", "\n\n".join(said)), *others]
    others[first] = ("user", "\n\n".join([*said, others[first][1]]))
    return others
