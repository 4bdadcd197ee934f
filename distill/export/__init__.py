"""Export: a student out of the house, in the formats that others serve; each export is loaded back and compared."""

from .export import FORMATS as FORMATS
from .export import Exported as Exported
from .export import export_student as export_student
