"""The contract of a stage: one step of a recipe."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..state import DistillState


@runtime_checkable
class Stage(Protocol):
    """One step of a recipe, a frozen value.

    ``run`` is a function of the state, the journal and the files below ``state.folder``: run twice with equal
    arguments it returns equal states and leaves equal files. It adds exactly one effect. It changes no field that
    it does not speak of, and does not touch the teacher. Interrupted at any moment and run again, it goes on where it
    was and ends with the same bytes. It raises ``BadInput`` for rows or a base model that it cannot use, and
    ``Stop`` for what ends the run.
    """

    @property
    def name(self) -> str:
        """What the report calls it."""
        ...

    def run(self, state: DistillState) -> DistillState:
        """The state after this step."""
        ...
