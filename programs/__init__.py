"""programs: what a task is, the library of declared ones, metrics and data. Built on runtime alone."""

from . import metrics as metrics
from .data import make_examples as make_examples
from .data import read_examples as read_examples
from .data import read_hub as read_hub
from .data import read_rows as read_rows
from .fence import Fence as Fence
from .library import TASKS as TASKS
from .library import task_named as task_named
from .metrics import Metric as Metric
from .metrics import Score as Score
from .splits import overlaps as overlaps
from .splits import split as split
from .task import CompileView as CompileView
from .task import Task as Task
from .task import program_digest as program_digest
