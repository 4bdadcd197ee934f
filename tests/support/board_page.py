"""A board's page in a browser, and short words for what a reader does with it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from browser import Browser
from dstill.eval import Boards

DESKTOP, PHONE = (1360, 900, False), (390, 844, True)


class Page:
    """The page on one tab, and short words for what a reader does with it."""

    def __init__(self, chrome: Browser, path: Path, state: str = "") -> None:
        self.chrome = chrome
        chrome.complaints()
        chrome.requests()
        chrome.open(f"{path.resolve().as_uri()}{state}")

    def run(self, script: str, *words: object) -> Any:
        return self.chrome.run(script, *words)

    def texts(self, selector: str) -> list[str]:
        """Of the elements that show."""
        return list(
            self.run(
                "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length)"
                ".map(e => e.textContent.trim())",
                selector,
            )
        )

    def click(self, selector: str) -> None:
        self.chrome.driver.find_element("css selector", selector).click()

    def set(self, selector: str, value: str) -> None:
        """As if somebody had typed or chosen it."""
        self.run(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {bubbles: true}))",
            selector, value,
        )  # fmt: skip

    def keys(self, selector: str, *keys: str) -> None:
        self.chrome.driver.find_element("css selector", selector).send_keys(*keys)

    def until(self, script: str, *words: object) -> Any:
        """Waits for a script to return something true."""
        for _ in range(100):
            if found := self.run(script, *words):
                return found
            time.sleep(0.05)
        raise AssertionError(f"still not so after 5 s: {script}")

    def names(self) -> list[str]:
        return self.texts("#view-0 .systems tbody .name span")


def sums(both: Boards) -> list[str]:
    return [entry.report.system for entry in both.boards[0].entries]
