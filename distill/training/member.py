"""One process of a training by several; started by ``processes``, not by hand."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from datetime import timedelta
from typing import Any, BinaryIO


def main() -> None:
    """Take the work from standard input, do this process's part, and say on standard output how it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the one that watches ends the others
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no message
    code = 1
    try:
        _work(out)
        code = 0
    except BaseException as error:
        from ...runtime.errors import DstillError, Stop

        if isinstance(error, DstillError | Stop):
            say(out, error=type(error).__name__, text=str(error))
        else:
            traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)  # not by way of destructors, which may wait for a process that is gone


def say(out: BinaryIO, **message: Any) -> None:
    """A line of JSON."""
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()


class Told:
    """A bar that is shown in another process."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        say(self._out, advance=count)

    def note(self, text: str) -> None:
        """What to show beside it."""
        say(self._out, note=text)

    def total(self, count: int) -> None:
        """The amount of work."""
        say(self._out, total=count)


def _work(out: BinaryIO) -> None:
    import cloudpickle
    import torch
    from accelerate import PartialState

    from .checkpoints import TRAINED, save_best
    from .group import Together
    from .loop import train, trained

    model, lengths, loss, how, folder, more = cloudpickle.load(sys.stdin.buffer)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if "transformers" in sys.modules:  # its table of attentions does not travel with a model
        from .packing import register

        register()
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    # Nothing is waited for too long here: who is gone is noticed by the process that watches.
    state = PartialState(
        cpu=not torch.cuda.is_available(), init_method=sys.argv[1], rank=rank, world_size=size,
        timeout=timedelta(days=30),
    )  # fmt: skip
    model.to(state.device)
    if more["beside"] is not None:
        more["beside"].to(state.device)
    group = Together(rank, size, state.device)
    bar = Told(out) if rank == 0 else None
    log = train(model, lengths, loss, how, folder, bar=bar, group=group, **more)
    if rank == 0:
        save_best(folder, len(log), trained(model, more["beside"]), TRAINED)
        say(out, log=log)


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
