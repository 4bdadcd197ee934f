"""A model that is not here: in a replay it lends its name and identity, and every answer comes from the cassette."""

from __future__ import annotations

from ..errors import CassetteMiss
from ..journal import Identity
from ..wire import Request, Response
from .base import Priced


class ClosedEngine(Priced):
    """Stands for a recorded model; asked for anything new, it refuses."""

    concurrency = 64
    repeatable = False

    def __init__(
        self,
        name: str,
        identity: Identity,
        max_tokens: int | None,
        parameters: int | None = None,
        media_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.max_tokens, self.parameters, self.media_tokens = name, max_tokens, parameters, media_tokens
        self._identity = identity
        self.repeatable = identity.get("kind") in ("causal", "seq2seq", "encoder", "student")

    @property
    def identity(self) -> Identity:
        """The identity that was recorded."""
        return self._identity

    def complete(self, request: Request) -> Response:
        """Raises CassetteMiss."""
        raise CassetteMiss(f"{self.name} is closed: this run lives on its cassette")
