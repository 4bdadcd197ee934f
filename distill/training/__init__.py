"""Training: the loop in ``loop``, and what it stands on: schedules, checkpoints, memory, devices, adapters, packing."""

from .loop import Log as Log
from .loop import Training as Training
from .loop import best as best
from .loop import train as train
from .lora import Lora as Lora
