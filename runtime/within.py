"""The work under way: code deep inside it, such as a metric, asks a model of its own on behalf of the same run.

The session travels as a DSPy setting (``dspy.context(dstill_session=...)``), which DSPy hands on to the threads it
makes.
"""

from __future__ import annotations

from functools import cache
from threading import Lock

import dspy

from .lm import LM
from .models import Model, lm_for
from .session import Session

_opening = Lock()


def lm_within(model: Model) -> LM:
    """A model on behalf of the work under way, with its journal and budget; opened once for each session.

    Where no work is under way, an ``LM`` is asked in its own session, and any other model in one in memory.

    Raises:
        BadInput: for what is no model, or one of unknown price where the session's budget counts dollars.
        ModelUnavailable: for a local model that is not there.
    """
    session: Session | None = dspy.settings.get("dstill_session")
    if session is None:
        if isinstance(model, LM):
            return model
        session = _alone()
    key = model if isinstance(model, str) else id(model)  # what is kept holds the model, so its id is not used anew
    if key not in session.opened:
        with _opening:
            if key not in session.opened:
                session.opened[key] = model, lm_for(model, session)
    found: LM = session.opened[key][1]
    return found


@cache
def _alone() -> Session:
    return Session()
