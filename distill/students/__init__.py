"""Students: their folders, the engines that answer with them, and how their prompts and answers are written."""

from .card import LOADERS as LOADERS
from .student import CURVE as CURVE
from .student import Student as Student
from .student import finished as finished
from .student import keeps_prompt as keeps_prompt
from .student import make_way as make_way
from .student import read_student as read_student
from .student import student_engine as student_engine
from .student import training_key as training_key
from .student import write_card as write_card
from .student import write_student as write_student
