"""Requests to local models, one by one and together."""

from __future__ import annotations

import random
import threading
from typing import Any

from dspy.lm15 import Config, Request
from dstill.runtime.wire import request_of_chat


def request(text: str, **config: Any) -> Request:
    chat = [{"role": "system", "content": "the quick brown fox " * 25}, {"role": "user", "content": text}]
    return request_of_chat("m", chat, Config(**{"max_tokens": 12, **config}))


def ask_together(engine: Any, requests: list[Request]) -> list[Any]:
    found: dict[int, Any] = {}

    def work(n: int) -> None:
        found[n] = engine.complete(requests[n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(requests))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return [found[n] for n in range(len(requests))]


def texts(length: int) -> list[str]:
    chance = random.Random(length)
    return [" ".join(chance.choice(["fox", "dog", "quick", "ünï", "[[ ## "]) for _ in range(n)) for n in range(length)]
