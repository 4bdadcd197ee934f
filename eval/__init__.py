"""eval: evaluation, statistics, leaderboards. Built on runtime and programs."""

from .board import Board as Board
from .board import Boards as Boards
from .board import boards as boards
from .board import leaderboard as leaderboard
from .compare import Comparison as Comparison
from .compare import NonInferiority as NonInferiority
from .compare import compare as compare
from .compare import non_inferior as non_inferior
from .evaluate import Artifact as Artifact
from .evaluate import System as System
from .evaluate import evaluate as evaluate
from .evaluate import evaluate_on as evaluate_on
from .evaluate import system_of as system_of
from .gate import Gate as Gate
from .gate import gate as gate
from .interchange import Results as Results
from .interchange import read_results as read_results
from .interchange import together as together
from .publish import BoardFolder as BoardFolder
from .publish import check_board as check_board
from .report import Report as Report
from .rows import Row as Row
from .runner import Job as Job
from .runner import Outcome as Outcome
from .runner import Runner as Runner
from .statistics.intervals import Interval as Interval
