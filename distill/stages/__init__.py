"""Stages: one file a step of a recipe, each under the contract in ``base``."""

from .base import Stage as Stage
from .cascade import Cascade as Cascade
from .collect import Collect as Collect
from .correct import Correct as Correct
from .filter import Filter as Filter
from .gate import Gate as Gate
from .gold import Gold as Gold
from .ladder import Ladder as Ladder
from .train_causal import TrainCausal as TrainCausal
from .train_causal import TrainSeq2Seq as TrainSeq2Seq
from .train_encoder import TrainEncoder as TrainEncoder
from .train_matcher import TrainMatcher as TrainMatcher
