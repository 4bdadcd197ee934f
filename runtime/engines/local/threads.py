"""How many processor cores a thread's products are shared by."""

from __future__ import annotations

import threading

import torch

_setting = threading.Lock()


def share_cores(workers: int) -> None:
    """Give this thread, one of so many that work side by side, its share of the cores that torch may use.

    It must be said even to a single one: in a thread that nobody told, MKL's products stay on one core. torch keeps the
    number for each thread and another one, that of the last call, for threads to come; so that is set back in a thread
    of its own.
    """
    with _setting:
        whole = torch.get_num_threads()
        torch.set_num_threads(max(1, whole // workers))
        back = threading.Thread(target=torch.set_num_threads, args=[whole])
        back.start()
        back.join()
