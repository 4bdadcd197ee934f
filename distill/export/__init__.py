"""Export: a student out of the house, in the formats that others serve; each export is loaded back and compared."""

from .export import FORMATS as FORMATS
from .export import Exported as Exported
from .export import export_student as export_student
from .gguf_file import write_gguf as write_gguf
from .onnx_file import OnnxEncoder as OnnxEncoder
from .onnx_file import write_onnx as write_onnx
