"""The inside of the sandbox, run as a script by ``sandbox.py`` (see there for what it keeps out), never imported.

Three processes: the first enters new namespaces where it may; the second, in them, watches, kills and reports; the
third drops every privilege and runs the submission. Standard library alone, no import of dstill: what a submission's
process does not hold, it cannot misuse. The order comes as JSON on standard input, the report goes out as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # -I leaves it out; last, as files here are named freely
import jail_linux as linux  # type: ignore[import-not-found]

TICK = 0.05
"""Seconds between two looks at the memory of a submission's processes."""
VERDICTS = 4_000_000
"""Bytes of verdicts that are read: some 10,000 tests."""

Report = dict[str, Any]


def main() -> None:
    """Enter, watch, report."""
    order = json.loads(sys.stdin.buffer.read())
    linux.die_with_parent()
    order["uid"] = linux.identity()
    others = linux.tasks_of(order["uid"])  # before a namespace of users shows other numbers
    inside = linux.enter(order["folder"], order["disk"]) if order["namespaces"] else linux.Inside()
    order["inside"], order["room"] = inside, linux.counted(others, apart=inside.pids and os.geteuid() != 0)
    if os.geteuid() == 0 and order["uid"] != 0 and not inside.root and not linux.readable_by_all(sys.base_prefix):
        say({"error": f"run as root, it must read {sys.base_prefix} as another user, which that folder does not allow"})
        return
    if inside.pids:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        linux.die_with_parent()
        linux.mount_proc()
    else:
        linux.adopt_orphans()
    say(watch(order))


def watch(order: dict[str, Any]) -> Report:
    """Run the submission in a process of its own, and end it with all its children when it is done or over a limit."""
    out_read, out_write = os.pipe()
    verdict_read, verdict_write = os.pipe()
    worker = os.fork()
    if not worker:
        try:
            confine(order, out_write, verdict_write)
            submission(order["source"], order["tests"], order["nonce"])
        except BaseException as error:  # before the submission began: the sandbox itself failed
            os.write(verdict_write, f"{order['nonce']} setup {type(error).__name__}: {error}\n".encode()[:500])
        finally:
            os._exit(0)
    os.close(out_write)
    os.close(verdict_write)
    texts, status = {out_read: b"", verdict_read: b""}, ""
    began = looked = time.monotonic()
    while not status and (code := os.waitpid(worker, os.WNOHANG))[0] == 0:
        drain(texts, TICK / 5)
        now = time.monotonic()
        if now - began > order["seconds"]:
            status = "timeout"
        elif len(texts[out_read]) > order["output"] or len(texts[verdict_read]) > VERDICTS:
            status = "output"
        elif now - looked > TICK:
            looked = now
            status = "memory" if linux.memory(linux.descendants()) > order["memory"] else ""
    left = end(worker)
    drain(texts, 0)
    if not status and os.WIFSIGNALED(code[1]):
        number = os.WTERMSIG(code[1])
        slow = number == signal.SIGXCPU or (number == signal.SIGKILL and spent() >= order["cpu"])
        status = "cpu" if slow else f"signal {number}"
    lines = texts[verdict_read].decode("utf-8", "replace").splitlines()
    own = [line.split(" ", 1)[1] for line in lines if line.startswith(order["nonce"] + " ")]
    return {
        "status": f"{left} processes could not be ended" if left else status or "finished",
        "lines": own,
        "output": texts[out_read][: order["output"]].decode("utf-8", "replace"),
        "held": order["inside"].held,
    }


def drain(texts: dict[int, bytes], wait: float) -> None:
    """Read what the pipes hold, a chunk of each at a time, for at most ``wait`` seconds until there is something."""
    ready, _, _ = select.select(list(texts), [], [], wait)
    ended = 0
    for pipe in ready:
        chunk = os.read(pipe, 65536)
        texts[pipe] += chunk
        ended += not chunk
    if ready and ended == len(ready):
        time.sleep(wait)  # a submission that closed its pipes and goes on


def spent() -> float:
    """Seconds of processor time of the processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + 0.5


def end(worker: int) -> int:
    """Kill the worker's group and whatever else descends from here; how many processes could not be ended."""
    for _ in range(200):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker, signal.SIGKILL)
        left = linux.descendants()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            if not left:
                return 0
        time.sleep(0.005)
    return len(linux.descendants())


def confine(order: dict[str, Any], out: int, verdict: int) -> None:
    """Leave this process nothing but its folder, its limits and two pipes: output (1, 2) and verdicts (3)."""
    os.setsid()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out after all, this process goes first
    null = os.open(os.devnull, os.O_RDONLY)
    verdict = os.dup2(verdict, 200, inheritable=False)
    for source, target in ((null, 0), (out, 1), (out, 2), (verdict, 3)):
        os.dup2(source, target)
    os.closerange(4, 4096)
    inside, folder = order["inside"], order["folder"]
    if inside.root:
        os.chroot(folder)
        folder = "/box"
    os.chdir(folder)
    for name, soft in (
        ("RLIMIT_CPU", order["cpu"]), ("RLIMIT_AS", order["memory"]), ("RLIMIT_FSIZE", order["disk"]),
        ("RLIMIT_NOFILE", order["files"]), ("RLIMIT_NPROC", order["room"] + order["processes"]), ("RLIMIT_CORE", 0),
        ("RLIMIT_MEMLOCK", 0), ("RLIMIT_MSGQUEUE", 0),
    ):  # fmt: skip
        hard = soft + 1 if name == "RLIMIT_CPU" else soft
        resource.setrlimit(getattr(resource, name), (soft, hard))
    linux.drop(order["uid"], folder, landlock=not inside.root)
    if not inside.net:
        sys.addaudithook(refuse_sockets)
    os.environ.clear()
    os.environ.update(PATH="/usr/bin:/bin", HOME=folder, TMPDIR=folder, LANG="C.UTF-8")
    sys.argv, sys.path = ["submission.py"], [folder, *(p for p in sys.path if p.startswith(sys.base_prefix))]


def refuse_sockets(event: str, _: Any) -> None:
    """An audit hook where there is no namespace: Python's own sockets are refused."""
    if event.startswith("socket."):
        raise PermissionError("the sandbox has no network")


def submission(source: str, tests: list[str], nonce: str) -> None:
    """Run a source and then its tests, each in the source's names; a line for each on the pipe of verdicts."""
    write, leave, module = os.write, os._exit, type(sys)("__main__")
    sys.modules["__main__"], scope = module, vars(module)
    sys.modules.pop("jail_linux", None)

    def verdict(place: str, error: BaseException | None) -> None:
        try:
            said = "" if error is None else f"{type(error).__name__}: {error}".rstrip(": ")
        except BaseException:  # an error whose __str__ raises
            said = "an error without words"
        write(3, f"{nonce} {place} {'no' if error else 'ok'} {said[:300]!a}\n".encode())

    for place, text in (("source", source), *((str(number), test) for number, test in enumerate(tests))):
        try:
            exec(compile(text, f"<{place}>", "exec"), scope)
        except BaseException as error:
            verdict(place, error)
            if place == "source":
                break
        else:
            verdict(place, None)
    try:
        sys.stdout.flush()
    finally:
        leave(0)


def say(report: Report) -> None:
    """The report, on the pipe to the process that asked."""
    sys.stdout.write(json.dumps(report))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
