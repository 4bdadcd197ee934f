"""runtime: engines, the journal behind one door, budgets, run directories. Knows nothing of the other rooms.

A model is reached through ``LM``; every call passes its ``Door``, which asks the ``Journal`` first, reserves from
the ``Budget`` before dispatch, and stores the answer before anybody sees it.
"""

from .adapters import ADAPTERS as ADAPTERS
from .adapters import ChatAdapter as ChatAdapter
from .adapters import adapter_named as adapter_named
from .budget import Budget as Budget
from .budget import Cost as Cost
from .budget import Ledger as Ledger
from .derive import derive as derive
from .derive import derive_int as derive_int
from .door import Door as Door
from .engines.base import Engine as Engine
from .engines.recorded import RecordedEngine as RecordedEngine
from .engines.scripted import ScriptedEngine as ScriptedEngine
from .errors import BadInput as BadInput
from .errors import BudgetExhausted as BudgetExhausted
from .errors import CassetteMiss as CassetteMiss
from .errors import Damaged as Damaged
from .errors import DstillError as DstillError
from .errors import JournalFailed as JournalFailed
from .errors import ModelUnavailable as ModelUnavailable
from .errors import RunBusy as RunBusy
from .errors import Stop as Stop
from .journal import Entry as Entry
from .journal import Journal as Journal
from .lm import LM as LM
from .models import Model as Model
from .models import engine_for as engine_for
from .models import lm_for as lm_for
from .progress import Bar as Bar
from .progress import progress as progress
from .retry import Retry as Retry
from .rundir import RunDir as RunDir
from .session import Meter as Meter
from .session import Session as Session
from .within import lm_within as lm_within
