"""interchange: results of other tools read as reports, and reports written for other tools."""

from .collect import Results as Results
from .inspect_write import write_inspect as write_inspect
from .junit import write_junit as write_junit
from .model_index import model_index as model_index
from .model_index import write_model_card as write_model_card
from .reading import FORMS as FORMS
from .reading import read_results as read_results
from .together import aligned as aligned
from .together import named as named
from .together import together as together
