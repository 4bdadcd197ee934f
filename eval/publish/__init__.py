"""publish: board folders, to which evaluations are added and which anybody can check."""

from .checking import check_board as check_board
from .entry import Entry as Entry
from .entry import Label as Label
from .folder import BoardFolder as BoardFolder
from .serving import BoardServer as BoardServer
