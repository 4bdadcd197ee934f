"""The server of a board folder: on loopback only, the board's own files only, and live."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import Browser, chromium
from dstill.eval import BoardFolder
from dstill.eval.publish import BoardServer, Label
from dstill.runtime import BadInput
from outcomes import report


@contextmanager
def serving(folder: Path) -> Iterator[BoardServer]:
    with BoardServer(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BoardServer]:
    folder = BoardFolder(tmp_path / "board")
    folder.add([report("a", [1.0, 0.0, 1.0]), report("b", [0.0, 0.0, 1.0])], Label("v1"))
    (tmp_path / "secret.txt").write_text("not yours")
    with serving(folder.path) as running:
        yield running


def ask(server: BoardServer, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def test_it_gives_the_page_its_data_and_the_rows(server: BoardServer) -> None:
    root = server.folder.path
    kinds = {
        "/": ("leaderboard.html", "text/html; charset=utf-8"),
        "/leaderboard.html": ("leaderboard.html", "text/html; charset=utf-8"),
        "/leaderboard.json?x=1": ("leaderboard.json", "application/json"),
        "/leaderboard.csv": ("leaderboard.csv", "text/csv; charset=utf-8"),
        "/leaderboard.md": ("leaderboard.md", "text/markdown; charset=utf-8"),
        "/board.json": ("board.json", "application/json"),
        "/entries/0001-a/rows.jsonl": ("entries/0001-a/rows.jsonl", "application/x-ndjson"),
    }
    for path, (name, kind) in kinds.items():
        status, headers, data = ask(server, path)
        assert (status, data, headers["content-type"]) == (200, (root / name).read_bytes(), kind)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-cache"
        assert headers["referrer-policy"] == "no-referrer"
        assert int(headers["content-length"]) == len(data)
    assert ask(server, "/", "HEAD")[::2] == (200, b"")


def test_it_gives_nothing_else(server: BoardServer) -> None:
    for path in (
        "/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/entries/../../secret.txt", "/.lock", "/entries",
        "/entries/0001-a/../../../secret.txt", "/entries/..%2f..%2f/rows.jsonl", "//etc/passwd", "/entries/0001-a/x",
    ):  # fmt: skip
        status, headers, data = ask(server, path)
        assert (status, data) == (404, b"404 Not Found\n"), path
        assert headers["x-content-type-options"] == "nosniff"
    assert ask(server, "/", "POST")[0] == 501
    assert ask(server, "/", "DELETE")[0] == 501


def test_it_listens_on_loopback_and_answers_to_its_own_name_only(server: BoardServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    port = server.server_address[1]
    assert ask(server, "/", Host=f"localhost:{port}")[0] == 200
    for name in (f"evil.example:{port}", "evil.example", "127.0.0.1:1", ""):
        assert ask(server, "/", Host=name)[0] == 421


def test_an_unchanged_page_is_not_sent_twice_and_a_new_entry_shows(server: BoardServer) -> None:
    _, headers, before = ask(server, "/")
    assert ask(server, "/", If_None_Match=headers["etag"])[::2] == (304, b"")
    server.folder.add([report("newcomer", [1.0, 1.0, 1.0])])
    status, _, after = ask(server, "/", If_None_Match=headers["etag"])
    assert status == 200
    assert b"newcomer" in after and b"newcomer" not in before


def test_what_cannot_be_served(tmp_path: Path, server: BoardServer) -> None:
    with pytest.raises(BadInput, match="there is no board in"):
        BoardServer(tmp_path / "nothing", 0)
    with pytest.raises(BadInput, match="port 70000"):
        BoardServer(server.folder.path, 70_000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="cannot listen on 127.0.0.1:.* choose another --port"):
            BoardServer(server.folder.path, taken.getsockname()[1])


@pytest.mark.skipif(chromium() is None, reason="no Chromium with its driver here")
def test_a_browser_on_it_is_told_of_new_entries_and_asks_for_nothing_outside(server: BoardServer) -> None:
    import time

    with Browser() as chrome:
        chrome.open(f"{server.url}#sort=-usd")
        names = "return [...document.querySelectorAll('.systems tbody .name span')].map(e => e.textContent)"
        hidden = "return document.querySelector('[data-do=reload]').hidden"
        assert set(chrome.run(names)) == {"a", "b"}
        assert chrome.run(hidden)
        server.folder.add([report("a", [1.0, 1.0, 1.0]), report("c", [1.0, 1.0, 1.0])], Label("v2"))
        for _ in range(200):
            if not chrome.run(hidden):
                break
            time.sleep(0.05)
        chrome.run("document.querySelector('[data-do=reload]').click()")
        for _ in range(200):
            if chrome.run("return document.querySelectorAll('.systems tbody tr').length === 3"):
                break
            time.sleep(0.05)
        assert set(chrome.run(names)) == {"a", "b", "c"}
        assert chrome.run("return location.hash") == "#sort=-usd"
        assert chrome.complaints() == []
        asked = {address for address in chrome.requests() if address.startswith("http")}
        assert {address.partition("#")[0] for address in asked} <= {
            server.url, f"{server.url}board.json", f"{server.url}favicon.ico",
        }  # fmt: skip
