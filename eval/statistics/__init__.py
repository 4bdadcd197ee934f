"""statistics: intervals, tests and power of scores; what a figure on a board rests on.

Scores lie in [0, 1] unless a function says otherwise. All chance comes from the seed that is handed in.
"""

from .hypothesis import mcnemar as mcnemar
from .hypothesis import sign_flip as sign_flip
from .intervals import Interval as Interval
from .intervals import bca as bca
from .intervals import mean_interval as mean_interval
from .intervals import paired_interval as paired_interval
from .intervals import wilson as wilson
from .power import examples_needed as examples_needed
