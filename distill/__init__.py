"""distill: traces to training sets to students and back into the program. Built on all rooms below.

The package is callable, so that ``dstill.distill(...)`` is the function and ``dstill.distill.stages`` its parts.
"""

import sys
from types import ModuleType
from typing import Any

from .alternate import alternate as alternate
from .alternated import AlternatedProgram as AlternatedProgram
from .alternated import Alternation as Alternation
from .distill import distill as distill
from .distilled import DistilledProgram as DistilledProgram
from .distilled import load_distilled as load_distilled
from .export import Exported as Exported
from .export import export_student as export_student
from .recipes import RECIPES as RECIPES
from .recipes import Recipe as Recipe
from .recipes import recipe_from_tables as recipe_from_tables
from .recipes import recipe_of as recipe_of
from .stages import Cascade as Cascade
from .stages import Collect as Collect
from .stages import Correct as Correct
from .stages import Filter as Filter
from .stages import Gate as Gate
from .stages import Gold as Gold
from .stages import Ladder as Ladder
from .stages import Stage as Stage
from .stages import TrainCausal as TrainCausal
from .stages import TrainEncoder as TrainEncoder
from .stages import TrainMatcher as TrainMatcher
from .stages import TrainSeq2Seq as TrainSeq2Seq
from .state import DistillState as DistillState
from .state import Pair as Pair
from .students import student_engine as student_engine
from .training import Lora as Lora
from .training import Training as Training


class _Room(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> DistilledProgram:
        return distill(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
