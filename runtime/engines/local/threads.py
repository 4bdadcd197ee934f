"""How many processor cores a thread's products are shared by."""

from __future__ import annotations

import threading

import torch

_setting = threading.Lock()


def use_cores(count: int) -> None:
    """Let this thread's products be shared by so many cores.

    It must be said even where that is all of them: in a thread that nobody told, MKL's products stay on one core. torch
    keeps the number for each thread and another one, that of the last call, for threads to come; so that is set back in
    a thread of its own.
    """
    with _setting:
        whole = torch.get_num_threads()
        torch.set_num_threads(count)
        back = threading.Thread(target=torch.set_num_threads, args=[whole])
        back.start()
        back.join()
