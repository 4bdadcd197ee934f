"""A real headless Chromium: it opens pages, runs scripts, and remembers what it asked for and complained of."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--force-color-profile=srgb", "--hide-scrollbars",
)  # fmt: skip


def chromium() -> str | None:
    """Where Chromium is, if its driver is there too."""
    found = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    return found if shutil.which("chromedriver") else None


class Browser:
    """One window with a profile of its own."""

    def __init__(self, width: int = 1360, height: int = 900, dark: bool = False) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = chromium() or "chromium"
        for flag in (*FLAGS, f"--user-data-dir={self._folder.name}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        self.size(width, height)
        self.colours("dark" if dark else "light")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()
        self._folder.cleanup()

    def size(self, width: int, height: int, phone: bool = False) -> None:
        """The window's inside, in CSS pixels; as a phone's, with touch and twice the pixels."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone},
        )

    def colours(self, scheme: str) -> None:
        """What ``prefers-color-scheme`` says: ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, page: Path | str) -> None:
        """A file, or an address; in a document of its own even if only the part after # differs."""
        self.driver.get("about:blank")
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)

    def run(self, script: str, *words: object) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *words)

    def first_paint(self) -> float:
        """Milliseconds from the opening to the first text seen; waited for, as a page may be loaded before."""
        script = "return (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime"
        while (found := self.run(script)) is None:
            time.sleep(0.02)
        return float(found)

    def complaints(self) -> list[str]:
        """What stood on the console since last asked: errors and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses asked for since last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
