"""Proposers: one file a source of candidates, each under the contract in ``base``."""

from .base import Attempt as Attempt
from .base import Ground as Ground
from .base import Proposer as Proposer
from .bootstrapped import BootstrappedDemos as BootstrappedDemos
from .combined import CombinedParts as CombinedParts
from .diverse import DiverseDemos as DiverseDemos
from .ensembles import VotingEnsembles as VotingEnsembles
from .instructions import WrittenInstructions as WrittenInstructions
from .knobs import KnobValues as KnobValues
from .labeled import LabeledDemos as LabeledDemos
from .merged import MergedWinners as MergedWinners
from .nearest import NearestDemos as NearestDemos
from .reflected import ReflectedInstructions as ReflectedInstructions
from .shortened import ShortenedPrompts as ShortenedPrompts
