"""Hugging Face models in this process, with micro-batching that does not change an answer."""

import os
import warnings
from importlib import import_module

# Torch's threads spin while they wait for each other; on a shared machine that starves them of the very cores they
# wait for (measured: 8 s instead of 0.4 s for small models beside one busy process). Read when torch is first loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# transformers loads tqdm, which in a notebook without widgets gives advice that has nothing to do with us.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="IProgress not found")
    import_module("tqdm.auto")
