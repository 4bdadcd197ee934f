"""One training by several processes of this machine, each on its own device; this process watches over them.

What they need travels through their standard input, pickled, from this program to its own children; nothing of it is
written to a disk. They see from that pipe when this process is gone, and end too. What a child has to say (how far it
is, a typed error, the log) comes back as lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime import errors
from ...runtime.errors import BadInput, DstillError, Stop
from ...runtime.progress import Bar, Silent
from .checkpoints import TRAINED, load_best
from .devices import check_devices, cores

if TYPE_CHECKING:
    from .loop import Log, Loss, Training


def train_together(
    model: Any,
    lengths: Sequence[int],
    loss: Loss,
    how: Training,
    folder: Path,
    bar: Bar | None,
    more: Mapping[str, Any],
) -> Log:
    """``training.train`` by ``how.devices`` processes; the weights end up in the model, as there.

    Args:
        more: the other arguments of ``train``.

    Raises:
        BadInput: for more devices than there are, or a loss that cannot be sent to another process.
        DstillError: where a process ended that should not have; what was kept of the training is gone on from.
    """
    from .loop import trained

    check_devices(how.devices)
    folder.mkdir(parents=True, exist_ok=True)
    work = _pickled((model, lengths, loss, how, folder, dict(more)), how)
    children: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="dstill-") as place:
        try:
            for rank in range(how.devices):
                children.append(_start(rank, how.devices, Path(place)))
            log = _watch(children, work, bar or Silent(), Path(place))
        finally:
            _end(children, ())
            for child in children:
                for pipe in (child.stdin, child.stdout):
                    with contextlib.suppress(OSError):
                        pipe.close()  # type: ignore[union-attr]
    load_best(folder, len(log), trained(model, more.get("beside")), TRAINED)
    (folder / TRAINED).unlink()
    model.eval()
    return log


def _pickled(work: Any, how: Training) -> bytes:
    import cloudpickle  # DSPy's own dependency; takes functions inside of functions, as losses are

    try:
        return bytes(cloudpickle.dumps(work))
    except (TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"devices = {how.devices}: this training cannot be sent to other processes ({error}); use devices = 1"
        ) from error


def _start(rank: int, size: int, place: Path) -> subprocess.Popen[bytes]:
    """A process with what torchrun would give it, and the modules that this one has."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACCELERATE_")}
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // size))
    environment = kept | {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
        "OMP_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
    }  # fmt: skip
    if sys.platform == "linux":
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")  # they are all here, whatever the host's name resolves to
    words = [sys.executable, "-P", "-m", "dstill.distill.training.member", (place / "meeting").as_uri()]
    with (place / f"errors-{rank}").open("wb") as said:
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment)


def _watch(children: Sequence[subprocess.Popen[bytes]], work: bytes, bar: Bar, place: Path) -> Log:
    """The first one's log, once all have ended well."""
    heard: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
    threads = [
        threading.Thread(target=_talk, args=(rank, child, work, heard), daemon=True)
        for rank, child in enumerate(children)
    ]
    for thread in threads:
        thread.start()
    log: Log = []
    left = len(children)
    try:
        while left:
            rank, said = heard.get()
            if said is None:
                left -= 1
                if children[rank].wait():
                    _fail(rank, children, threads, heard, place)
            elif "error" in said:
                raise _typed(said)
            elif "log" in said:
                log = said["log"]
            else:
                _show(said, bar)
    finally:
        _end(children, threads)
    return log


def _talk(rank: int, child: subprocess.Popen[bytes], work: bytes, heard: queue.Queue[Any]) -> None:
    """Hand a process its work, and pass on its lines until it ends."""
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):  # it ended before it had read all; its exit status says why
        child.stdin.write(work)
        child.stdin.flush()
    for line in child.stdout:
        heard.put((rank, json.loads(line)))
    heard.put((rank, None))


def _show(said: Mapping[str, Any], bar: Bar) -> None:
    for name in ("total", "advance", "note"):
        if name in said:
            getattr(bar, name)(said[name])


def _typed(said: Mapping[str, Any]) -> BaseException:
    kind = getattr(errors, said["error"])
    assert issubclass(kind, DstillError | Stop)
    made: BaseException = kind(said["text"])
    return made


def _fail(
    rank: int,
    children: Sequence[subprocess.Popen[bytes]],
    threads: Sequence[threading.Thread],
    heard: queue.Queue[tuple[int, dict[str, Any] | None]],
    place: Path,
) -> None:
    """Raise for what ended the training: where one process ends, the others fail as they wait for it."""
    found = {one: child.poll() for one, child in enumerate(children)}
    first = next((one for one, code in found.items() if code is not None and code < 0), rank)
    _end(children, threads)
    while not heard.empty():
        said = heard.get()[1]
        if said is not None and "error" in said:
            raise _typed(said)
    code = found[first] or 0
    lines = (place / f"errors-{first}").read_text("utf-8", "replace").strip().splitlines()
    why = f"signal {-code}" if code < 0 else f"status {code}"
    hint = " (9 is what the system sends where memory runs out)" if code == -9 else ""
    raise DstillError(
        f"process {first + 1} of {len(children)} of the training ended with {why}{hint}"
        f"{': ' + lines[-1] if lines else ''}; the others were ended. Run it again: it goes on from its last checkpoint"
    )


def _end(children: Sequence[subprocess.Popen[bytes]], threads: Sequence[threading.Thread]) -> None:
    for child in children:
        if child.poll() is None:
            child.kill()  # it holds nothing that is not written whole or not at all
    for child in children:
        child.wait()
    for thread in threads:
        thread.join()
