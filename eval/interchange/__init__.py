"""interchange: results of other tools read as reports, and reports written for other tools."""

from .collect import Results as Results
from .reading import FORMS as FORMS
from .reading import read_results as read_results
from .together import aligned as aligned
from .together import together as together
