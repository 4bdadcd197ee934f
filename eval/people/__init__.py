"""people: a sheet of answers for people to label, and what their labels say of a judge's scores."""

from .corrected import Corrected as Corrected
from .corrected import judged as judged
from .labels import Labels as Labels
from .labels import read_labels as read_labels
from .noted import noted as noted
from .sheet import write_sheet as write_sheet
