"""Metrics: how good is a prediction for an example? A number in [0, 1], or a ``Score`` with feedback."""

from .base import Metric as Metric
from .base import Score as Score
from .base import call as call
from .base import name_of as name_of
from .calls import function_calls as function_calls
from .calls_in import FunctionCall as FunctionCall
from .calls_in import calls_in as calls_in
from .combine import minimum as minimum
from .combine import weighted_mean as weighted_mean
from .ifeval import ifeval as ifeval
from .labels import jaccard as jaccard
from .labels import label_f1 as label_f1
from .numbers import Numeric as Numeric
from .numbers import number_in as number_in
from .numbers import numeric as numeric
from .overlap import bleu as bleu
from .overlap import chrf as chrf
from .overlap import rouge as rouge
from .qa import any_of as any_of
from .qa import normalised as normalised
from .qa import token_f1 as token_f1
from .structure import json_equal as json_equal
from .structure import json_fields as json_fields
from .text import Exact as Exact
from .text import contains as contains
from .text import exact as exact
