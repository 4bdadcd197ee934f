"""optimizers: candidates, proposers, the race and the compile loop. Built on runtime, programs and eval."""

from .candidate import Candidate as Candidate
from .candidate import PredictorState as PredictorState
from .compile import Where as Where
from .compile import compile as compile
from .compiled import CompiledProgram as CompiledProgram
from .compiled import load_program as load_program
from .config import Bootstrap as Bootstrap
from .config import Dspy as Dspy
from .config import FewShot as FewShot
from .config import Optimizer as Optimizer
from .config import ZeroShot as ZeroShot
from .config import optimizer_of as optimizer_of
from .explain import Explanation as Explanation
from .explain import explain as explain
from .front import Front as Front
from .front import Point as Point
from .history import History as History
from .history import Trial as Trial
from .objective import Objective as Objective
from .proposers import Ground as Ground
from .proposers import Proposer as Proposer
from .race import Race as Race
from .verdict import Evidence as Evidence
