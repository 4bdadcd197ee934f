"""The journal keeps what it was given: durable, once, across threads, processes and versions."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dstill.runtime import Cost, Damaged, Entry, Journal, JournalFailed
from dstill.runtime.schema import MIGRATIONS, write_ahead
from dstill.runtime.wire import Answer, Wire


def entry(n: int, *, run: str = "r", text: str | None = None) -> Entry:
    wire = Wire(b'{"messages":[],"system":"s"}', b'{"message":["user","%d"],"settings":{}}' % n)
    answer = Answer(text or f"answer {n}", "stop", 3, 4)
    return Entry(wire.key(b"m", 0), "m", wire, 0, answer, Cost(1, 7, 9), Cost(1, 20, 30), 0.5, run)


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "j.sqlite")
    journal.put(entry(1), {"kind": "test"})
    assert journal.get(entry(1).key) == entry(1)
    assert journal.get(entry(2).key) is None
    assert journal.identity("m") == {"kind": "test"}
    journal.close()
    again = Journal(tmp_path / "deep" / "j.sqlite")
    assert list(again.entries()) == [entry(1)]


def test_the_first_answer_to_a_key_stands(tmp_path: Path) -> None:
    one, two = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    assert one.put(entry(1, text="first"), {}).answer.text == "first"
    assert two.put(entry(1, text="second"), {}).answer.text == "first"


@pytest.mark.parametrize("known", [False, True], ids=["new", "whose-index-was-read"])
def test_of_two_processes_that_pay_at_once_both_have_the_first_answer(tmp_path: Path, known: bool) -> None:
    one, two = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    if known:
        two.put(entry(9), {})
        assert two.get(entry(1).key) is None  # and now the other one pays
    one.put(entry(1, text="first"), {})
    threads, found = [], {}
    for n in range(1, 40):  # together with rows that are new
        work = threading.Thread(target=lambda n=n: found.update({n: two.put(entry(n, text=f"second {n}"), {})}))
        threads.append(work)
        work.start()
    [thread.join() for thread in threads]
    assert found[1].answer.text == "first"
    assert all(found[n].answer.text == f"second {n}" for n in range(2, 40) if n != 9)
    assert found[9].answer.text == ("answer 9" if known else "second 9")


def test_hundreds_of_writers_share_commits(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    commits = []
    journal._writing.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    threads = [threading.Thread(target=lambda n=n: journal.put(entry(n), {})) for n in range(300)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(journal) == 300
    assert len(commits) < 300


def test_what_is_there_is_found_by_the_first_threads_that_look(tmp_path: Path) -> None:
    """Opening a journal and looking from many threads at once: nobody may see a half-read index."""
    filled = Journal(tmp_path / "j")
    entries = [entry(n) for n in range(3000)]
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda e: filled.put(e, {}), entries))
    for _ in range(15):
        journal, barrier = Journal(tmp_path / "j"), threading.Barrier(16)

        def look(number: int, journal: Journal = journal, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return journal.get(entries[-1 - number].key) is not None

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(look, range(16)))
        journal.close()


def test_a_killed_writer_leaves_every_answer_that_was_returned(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing from eight threads; what put() had returned must be there."""
    script = textwrap.dedent(
        f"""
        import os, signal, sys, threading
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_journal import entry
        from dstill.runtime import Journal
        journal = Journal({str(tmp_path / "j")!r})
        out = os.open({str(tmp_path / "done")!r}, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        def work(first):
            for n in range(first, 100000, 8):
                journal.put(entry(n), {{}})
                os.write(out, b"%d\\n" % n)
                if n > 400: os.kill(os.getpid(), signal.SIGKILL)
        for first in range(8): threading.Thread(target=work, args=(first,)).start()
        """
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    numbers = [int(line) for line in (tmp_path / "done").read_text().split()]
    assert len(numbers) > 40  # one thread alone wrote so many before it came to 400; the others may have waited
    journal = Journal(tmp_path / "j")
    assert all(journal.get(entry(n).key) == entry(n) for n in numbers)


def test_a_newer_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(Damaged, match="format 99"):
        Journal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look", b"\x00" * 5000])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(Damaged, match="not a dstill journal"):
        Journal(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == content


def test_another_database_is_refused(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "j")
    raw.execute("CREATE TABLE precious (x)")
    raw.commit()
    raw.close()
    with pytest.raises(Damaged, match="not a dstill journal"):
        Journal(tmp_path / "j")


def test_an_older_journal_is_brought_up_to_date_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(tmp_path / "j").close()
    monkeypatch.setattr("dstill.runtime.schema.VERSION", 4)
    monkeypatch.setitem(MIGRATIONS, 2, lambda c: c.execute("CREATE TABLE two (x)"))
    monkeypatch.setitem(MIGRATIONS, 3, lambda c: c.execute("CREATE TABLE three (x)"))
    Journal(tmp_path / "j").close()
    raw = sqlite3.connect(tmp_path / "j")
    assert raw.execute("PRAGMA user_version").fetchone() == (4,)
    assert {"two", "three"} <= {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
    raw.close()


def test_a_journal_of_the_first_format_learns_when_runs_begin(tmp_path: Path) -> None:
    Journal(tmp_path / "j").put(entry(1), {})
    raw = sqlite3.connect(tmp_path / "j")
    raw.execute("DROP TABLE begun")
    raw.execute("PRAGMA user_version = 1")
    raw.commit()
    raw.close()
    journal = Journal(tmp_path / "j")
    assert journal.begun() == {}
    assert journal.begin("a") == 1
    journal.put(entry(2), {})
    assert (journal.begin("a"), journal.begin("b"), journal.begin("c", 7)) == (1, 2, 7)
    assert [journal.get(entry(n).key).number for n in (1, 2)] == [1, 2]
    assert Journal(tmp_path / "j").begun() == {"a": 1, "b": 2, "c": 7}


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(tmp_path / "j").close()
    monkeypatch.setattr("dstill.runtime.schema.VERSION", 3)

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (x)")
        raise RuntimeError("power cut")

    monkeypatch.setitem(MIGRATIONS, 2, broken)
    with pytest.raises(RuntimeError):
        Journal(tmp_path / "j")
    raw = sqlite3.connect(tmp_path / "j")
    assert raw.execute("PRAGMA user_version").fetchone() == (2,)
    assert "half" not in {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
    raw.close()


def test_a_full_disk_is_a_stop_that_nobody_swallows(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.put(entry(0), {})
    (pages,) = journal._writing.execute("PRAGMA page_count").fetchone()
    journal._writing.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own SQLITE_FULL
    with pytest.raises(JournalFailed, match="full") as caught:
        for n in range(1, 200):
            journal.put(entry(n, text="x" * 2000), {})
    assert not isinstance(caught.value, Exception)
    assert journal.get(entry(0).key) == entry(0)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalFailed, match=str(tmp_path / "file")):
        Journal(tmp_path / "file" / "j")


def test_losses_and_time_are_kept_by_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.lose(b"k", "a", "TimeoutError", Cost(1, 10, 5))
    journal.lose(b"k", "a", "TimeoutError", Cost(1, 10, 5))
    journal.note_elapsed("a", 3.5)
    assert journal.lost("a") == Cost(2, 20, 10)
    assert journal.lost("b") == Cost()
    assert (journal.elapsed("a"), journal.elapsed("b")) == (3.5, 0.0)


def test_wal_mode_waits_for_another_that_reads_where_sqlite_would_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    other, mine = (sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False) for _ in range(2))
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM calls").fetchone()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(mine, patience=0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(write_ahead, mine, 30)
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        other.execute("COMMIT")
        waiting.result(30)
    assert mine.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    mine.close()


def test_many_that_open_a_new_journal_at_once_share_it(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def opened(name: str) -> int:
        start.wait()
        journal = Journal(tmp_path / name / "journal.sqlite")
        try:
            return len(journal)
        finally:
            journal.close()

    for attempt in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened, [str(attempt)] * 8)) == [0] * 8
