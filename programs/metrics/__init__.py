"""Metrics: how good is a prediction for an example? A number in [0, 1], or a ``Score`` with feedback."""

from .base import Metric as Metric
from .base import Score as Score
from .base import call as call
from .base import name_of as name_of
from .numbers import Numeric as Numeric
from .numbers import number_in as number_in
from .numbers import numeric as numeric
from .text import Exact as Exact
from .text import exact as exact
