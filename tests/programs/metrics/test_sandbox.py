"""The sandbox: hostile code is survived within its limits, with namespaces and without, and nothing is left running."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import dspy
import pytest
from dstill.programs import metrics
from dstill.programs.metrics import Limits, Ran, sandbox
from dstill.programs.metrics.code import code_in
from dstill.runtime import BadInput

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox needs Linux")
SMALL = Limits(seconds=5, cpu=2, memory=256, processes=6, disk=2, output=8)
BRIEF = Limits(seconds=0.7, cpu=2, memory=256, processes=6, disk=2, output=8)


@lru_cache
def probed(namespaces: bool, python: str) -> dict[str, str] | str:
    """What holds in a tier with an interpreter, or why it cannot be made."""
    try:
        return sandbox.protections.__wrapped__(namespaces=namespaces)
    except BadInput as error:
        return str(error)


@pytest.fixture(params=[True, False], ids=["namespaces", "none"])
def tier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With namespaces where this system permits them, and without."""
    namespaces = bool(request.param)
    if not namespaces and os.geteuid() == 0:
        if not Path("/usr/bin/python3").exists():
            pytest.skip("root needs a Python that others may read")
        monkeypatch.setattr(sys, "executable", "/usr/bin/python3")  # ours may lie where only root reads
    held = probed(namespaces, sys.executable)
    if isinstance(held, str):
        pytest.skip(held)
    if namespaces and held["files"] != "own root":
        pytest.skip(f"no namespaces here: {held}")
    return namespaces


@pytest.fixture
def mark() -> Iterator[str]:
    """Code that names its process, and with it all that it forks; at the end no process may bear that name."""
    name = "x" + secrets.token_hex(6)
    yield f"import ctypes, os, signal, sys, time\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\n"
    assert not named(name)


def named(name: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name:
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def run(source: str, tier: bool, tests: list[str] | None = None, limits: Limits = SMALL) -> Ran:
    return sandbox.run_tests(source, tests or [], limits, namespaces=tier)


FORK = """
made = 0
for _ in range(20):
    try:
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        made += 1
    except OSError:
        pass
print(made)
"""


def test_code_and_tests_run(tier: bool) -> None:
    source = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1\n"
    source += "def f(n):\n    return n + 1\nprint('hi')"
    ran = run(
        source, tier, ["assert f(1) == 2", "assert f(1) == 3, 'no'", "f()", "assert P().x == f(0)", "import heapq"]
    )
    assert (ran.status, ran.error, ran.output) == ("finished", "", "hi\n")
    assert ran.passed == (True, False, False, True, True)
    assert ran.errors[1] == "AssertionError: no"
    assert ran.errors[2].startswith("TypeError: f() missing 1")


@pytest.mark.parametrize("ending", ["sys.exit(0)", "os._exit(0)", "1 / 0", "raise KeyboardInterrupt", "x = ("])
def test_code_that_ends_early_has_passed_nothing(tier: bool, ending: str) -> None:
    ran = run(f"import os, sys\n{ending}", tier, ["pass"])
    assert ran.passed == (False,)
    assert ran.error


def test_verdicts_cannot_be_written_without_the_key(tier: bool) -> None:
    forged = "import os\nos.write(3, b'source ok \\n0 ok \\n' + b'0' * 16 + b' 0 ok \\n')"
    assert run(forged + "\nos._exit(0)", tier, ["assert False"]).passed == (False,)


def test_the_process_limit_holds_and_then_a_fork_bomb_is_survived(tier: bool, mark: str) -> None:
    ran = run(mark + FORK, tier)
    assert ran.status == "finished"
    assert 1 <= int(ran.output) <= SMALL.processes - 1, "no bomb is thrown where the limit does not hold"
    bomb = mark + "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    assert run(bomb, tier, limits=BRIEF).status == "timeout"


def test_threads_count_as_processes(tier: bool) -> None:
    source = """
import threading, time
made = 0
try:
    while made < 20:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        made += 1
except RuntimeError:
    pass
print(made)
"""
    assert 1 <= int(run(source, tier).output) <= SMALL.processes - 1


def test_a_daemon_that_ignores_signals_does_not_outlive_the_code(tier: bool, mark: str) -> None:
    source = mark + "for s in range(1, 32):\n    if s not in (9, 19): signal.signal(s, signal.SIG_IGN)\n" \
        "if not os.fork():\n    os.setsid()\n    if not os.fork():\n        os.setsid()\n        time.sleep(60)\n" \
        "    os._exit(0)\ntime.sleep(0.1)"  # fmt: skip
    assert run(source, tier).status == "finished"


def test_endless_loops_end(tier: bool, mark: str) -> None:
    ignoring = "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    patient = Limits(seconds=30, cpu=1, memory=256, processes=6)
    deaf = ignoring if tier else ""
    assert run(mark + deaf + "while True: pass", tier, limits=patient).status == "cpu"
    assert run(mark + ignoring + "while True: time.sleep(1)", tier, limits=BRIEF).status == "timeout"
    closing = mark + "for pipe in range(1, 4): os.close(pipe)\ntime.sleep(60)"
    assert run(closing, tier, limits=BRIEF).status == "timeout"


def test_a_test_after_an_endless_one_is_not_reached(tier: bool) -> None:
    ran = run("def f(): return 1", tier, ["assert f()", "while True: pass", "assert f()"], BRIEF)
    assert ran.status == "timeout"
    assert ran.passed == (True, False, False)


def test_memory_is_bounded_in_one_process_and_over_several(tier: bool, mark: str) -> None:
    assert run(mark + "x = bytearray(10 ** 10)", tier).error == "MemoryError"
    assert run(mark + "x = []\nwhile True: x.append('y' * 10 ** 6)", tier).error == "MemoryError"
    several = mark + "for _ in range(4):\n    if not os.fork():\n        x = bytearray(b'y' * 120_000_000)\n" \
        "        time.sleep(60)\ntime.sleep(60)"  # fmt: skip
    assert run(several, tier, limits=Limits(seconds=20, memory=256, processes=6)).status == "memory"


def test_files_outside_are_neither_read_nor_written(tier: bool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("token")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o755)
    for source in (
        f"print(open({str(secret)!r}).read())",
        f"open({str(secret)!r}, 'w')",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        "open('/tmp/dstill-was-here', 'w')",
        "print(open('/etc/passwd').read())",
        "import os; os.listdir('/home')",
        "import os; os.kill(1, 9)" if os.geteuid() == 0 and not tier else "raise OSError",
        "import subprocess; subprocess.run(['cat', '/etc/passwd'], check=True)",
    ):
        ran = run(source, tier)
        assert ran.error.split(":")[0] in ("PermissionError", "FileNotFoundError", "OSError", "CalledProcessError")
        assert "root:" not in ran.output and "token" not in ran.output
    assert secret.read_text() == "token"
    assert sorted(tmp_path.iterdir()) == [secret]
    assert not Path("/tmp/dstill-was-here").exists()


def test_its_own_folder_is_writable_and_bounded(tier: bool) -> None:
    assert run("open('a', 'w').write('x'); print(open('a').read())", tier).output == "x\n"
    assert run("open('a', 'wb').write(bytes(3 * 10 ** 6))", tier).error.startswith("OSError")
    assert run("held = [open('f%d' % n, 'w') for n in range(100)]", tier).error.startswith("OSError: [Errno 24]")
    if tier:  # the files together, and their number
        assert run("for n in range(9): open(str(n), 'wb').write(bytes(10 ** 6))", tier).error.startswith("OSError")
        assert run("for n in range(9999): open(str(n), 'w').close()", tier).error.startswith("OSError")


def test_there_is_no_network(tier: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        port = listening.getsockname()[1]
        ran = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=1)", tier)
        assert ran.error.split(":")[0] in ("OSError", "PermissionError", "ConnectionRefusedError")
        with pytest.raises(TimeoutError):
            listening.accept()


def test_output_and_errors_are_cut(tier: bool, mark: str) -> None:
    flood = run(mark + "while True: print('x' * 1000)", tier)
    assert flood.status == "output"
    assert len(flood.output) == 8 * 1024
    deep = "def f(n):\n    try:\n        f(n + 1)\n    except RecursionError:\n"
    deep += "        raise ValueError('y' * 10 ** 7)\nf(0)"
    for source in ("raise ValueError('x' * 10 ** 7)", deep):
        ran = run(source, tier)
        assert ran.error.startswith("ValueError: ")
        assert len(ran.error) <= 300
    silent = "class E(Exception):\n    def __str__(self): raise E\nraise E"
    assert run(silent, tier).error == "an error without words"


def test_a_crash_is_named(tier: bool) -> None:
    assert run("import ctypes\nctypes.string_at(0)", tier, ["pass"]).status == "signal 11"


def test_killing_its_watchers_gains_nothing(tier: bool, mark: str) -> None:
    attack = mark + "for pid in (os.getppid(), 1) if os.getuid() or os.getpid() == 2 else ():\n" \
        "    try:\n        os.kill(pid, 9)\n    except OSError:\n        pass\ntime.sleep(0.2)"  # fmt: skip
    if os.geteuid() == 0 or tier:
        assert run(attack, tier, ["assert False"]).passed == (False,)


def test_the_environment_is_empty(tier: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cr3t")
    source = """
import __main__, os, sys
print(dict(os.environ), vars(__main__).keys(), sys.argv)
try:
    print(open("/proc/self/environ").read())
except OSError:
    pass
"""
    ran = run(source, tier)
    assert ran.status == "finished" and not ran.error
    assert "MY_SECRET" not in ran.output and "order" not in ran.output


def test_nothing_is_left_when_the_caller_is_killed(mark: str, tmp_path: Path) -> None:
    name = mark.split("b'")[1].split("'")[0]
    limits = "sandbox.Limits(seconds=120)"  # nothing else may end it, however slow the machine
    code = f"from dstill.programs.metrics import sandbox\nsandbox.run_tests({mark + 'time.sleep(110)'!r}, (), {limits})"
    caller = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)})
    _wait(lambda: bool(named(name)) or caller.poll() is not None)
    assert named(name)
    caller.kill()
    caller.wait()
    _wait(lambda: not named(name))


def _wait(until: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.05)


def test_many_at_once_do_not_share_limits() -> None:
    source = """
import os, time
made = 0
for _ in range(3):
    try:
        made += bool(os.fork() or time.sleep(60))
    except OSError:
        pass
print(made)
"""
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda _: run(source, True).output, range(8)))
    assert outputs == ["3\n"] * 8


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"memory": -1}, {"cpu": "1"}, {"processes": True}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="expected a number above 0"):
        Limits(**wrong)


def test_another_system_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(BadInput, match="needs Linux"):
        sandbox.run_tests("pass")


@pytest.mark.parametrize(
    ("answer", "code"),
    [("x = 1", "x = 1"), ("So:\n```python\nx = 1\n```\nDone", "x = 1\n"), ("```\nx = 1", "x = 1"), (None, ""),
     (dspy.Code(code="x = 1"), "x = 1"), (3, "")],
)  # fmt: skip
def test_code_is_found_in_an_answer(answer: Any, code: str) -> None:
    assert code_in(answer) == code


def test_the_metric() -> None:
    metric, share = metrics.passes_tests("code"), metrics.passes_tests("code", share=True)
    example = dspy.Example(tests=["assert double(2) == 4", "assert double(3) == 6"])
    assert metric(example, dspy.Prediction(code="```python\ndef double(x): return 2 * x\n```")).value == 1
    wrong = dspy.Prediction(code="def double(x): return x ** 2")
    assert metric(example, wrong).value == 0
    assert share(example, wrong).value == 0.5
    said = share(example, wrong).feedback
    assert said == "Test 2 of 2 fails with AssertionError: 'assert double(3) == 6'."
    assert metric(example, dspy.Prediction(code="def double(x: return")).feedback.startswith(
        "The code does not run: Synt"
    )
    assert metric(example, dspy.Prediction(code=None)).value == 0
    assert metric(dspy.Example(tests=[]), wrong).value is None
    assert metric(dspy.Example(tests=[3]), wrong).value is None
    slow = metrics.passes_tests("code", limits=BRIEF)
    assert "ended by: timeout" in slow(example, dspy.Prediction(code="while True: pass")).feedback
    whole = dspy.Example(tests="def check(f):\n    assert f(2) == 4\ncheck(double)")
    assert metric(whole, dspy.Prediction(code="def double(x): return x + x")).value == 1
