"""lab: tasks in the small English of the embedded LM, for experiments with programs and optimizers on a laptop.

Every kind is a fresh sample of the language's held-out half: wordings, names and label words that the embedded LM has
never met, and where it sorts texts, classes that it was never asked for. The declared instruction tells nothing; what
is asked follows from demonstrations, or from the sentences that ``rules`` gives away. Seeds make other tasks of a kind.
"""

from __future__ import annotations

from .task import KINDS as KINDS
from .task import rules as rules
from .task import task as task
