"""board: leaderboards as figures, text, data and one offline page."""

from .figures import Board as Board
from .figures import Entry as Entry
from .figures import leaderboard as leaderboard
from .standing import Rank as Rank
from .standing import Standing as Standing
from .tabs import Boards as Boards
from .tabs import boards as boards
