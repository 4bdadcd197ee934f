"""The loss of a generative student on a batch: its tasks' cross-entropy, and what it takes from a teacher's inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...runtime.derive import derive_int
from ..state import DistillState, Pair
from ..students.alignment import check_same_vocabulary, stored_answer
from ..students.coding import CodedRow, CodedRows, prompt_tokens
from ..training.devices import tensor_on
from ..training.writers import Coded
from .teaching import open_teacher, teacher_folder, teacher_prompts

if TYPE_CHECKING:
    import torch

TOKENS = 256
"""Most answer tokens of a batch whose hidden states are matched by information; it takes the square of them."""


@dataclass(frozen=True)
class WritingLoss:
    """Takes the places of a batch's rows; see ``TrainCausal`` for the settings."""

    stage: Any
    writer: Any
    model: Any
    rows: Sequence[CodedRow]
    tasks: Sequence[float]
    """Weights of the tasks."""
    teacher: Any = None
    asked: Sequence[Coded] = ()
    """The rows as the teacher is asked them."""
    stored: Sequence[Sequence[dict[int, float]]] = ()
    """Told log-probabilities by token, for ``kd = 'stored'``."""
    critic: Any = None

    @classmethod
    def of(
        cls, stage: Any, state: DistillState, name: str, writer: Any, model: Any, tokenizer: Any,
        coded: tuple[CodedRows, Sequence[Pair]], tasks: Sequence[float],
    ) -> WritingLoss:  # fmt: skip
        """The loss that a stage asks for.

        Raises:
            BadInput: for a teacher that is not here, has other tokens, or did not tell its probabilities.
        """
        rows, pairs = list(coded[0].rows), coded[1]
        if stage.kd == "stored":
            found = [stored_answer(tokenizer, pairs[row.place], state.base) for row in rows]
            rows = [row if one is None else _with_answer(row, one[0]) for row, one in zip(rows, found, strict=True)]
            return cls(stage, writer, model, rows, tasks, stored=[[] if one is None else one[1] for one in found])
        if stage.kd == "none" and stage.hidden == "none":
            return cls(stage, writer, model, rows, tasks)
        folder = teacher_folder(state.teacher.lm, stage.teacher)
        teacher, theirs = open_teacher(stage.writer.loader, folder, device=model.device.type)
        check_same_vocabulary(tokenizer, theirs, (state.base, stage.teacher or state.teacher.lm.door.engine.name))
        prompts = teacher_prompts(state, name, [pairs[row.place] for row in rows])
        asked = [
            Coded(tuple(prompt_tokens(theirs, prompt)), row.tasks[0].answer)
            for prompt, row in zip(prompts, rows, strict=True)
            if row.tasks[0] is not None
        ]
        critic = None
        if stage.hidden != "none":
            from ..objectives import Critic

            widths = [one.config.get_text_config(decoder=True).hidden_size for one in (model, teacher)]
            critic = Critic(*widths, seed=derive_int(state.seed, "critic", bits=63)).to(model.device)
        stage.writer(teacher, packed=stage.packing)
        return cls(stage, writer, model, rows, tasks, teacher, asked, critic=critic)

    def __call__(self, batch: Sequence[int]) -> torch.Tensor:
        """The batch's mean loss of each task, times the task's weight."""
        import torch

        found: list[Any] = []
        for task, weight in enumerate(self.tasks):
            places = [place for place in batch if self.rows[place].tasks[task] is not None]
            found.append(weight * self._task(places, task) if places and weight else torch.zeros(()))
        home = next((one.device for one in found if one.requires_grad), found[0].device)
        return torch.stack([one.to(home) for one in found])

    def share(self, batch: Sequence[int]) -> list[float]:
        """What rows count in each task: their tokens, by weight."""
        found = [0.0] * len(self.tasks)
        for row in (self.rows[place] for place in batch):
            for task, coded in enumerate(row.tasks):
                found[task] += 0.0 if coded is None else row.weight * len(coded.answer)
        return [max(one, 1e-12) for one in found]

    def plain(self, rows: Sequence[CodedRow], *, at_once: int = 32) -> float:
        """Mean cross-entropy of the first task's tokens on other rows; for early stopping."""
        from ..objectives import hard_loss

        total, count = 0.0, 0
        with_first = [row.tasks[0] for row in rows if row.tasks[0] is not None]
        for start in range(0, len(with_first), at_once):
            said = self.writer.say(self.model, with_first[start : start + at_once])
            each = hard_loss(said.logits, said.targets)
            total, count = total + float(each.double().sum()), count + each.numel()
        return total / max(count, 1)

    def _task(self, places: Sequence[int], task: int) -> torch.Tensor:
        import torch

        from ..objectives import hard_loss

        stage = self.stage
        coded = [self.rows[place].tasks[task] for place in places]
        said = self.writer.say(self.model, coded, hidden=self.critic is not None)
        weights = tensor_on([self.rows[place].weight for place in places], said.rows.device)[said.rows]
        each = hard_loss(said.logits, said.targets)
        if stage.kd == "stored":
            each = (1 - stage.kd_weight) * each + stage.kd_weight * self._told(places, said)
        elif self.teacher is not None:
            if self.teacher.device != self.model.device:  # in a process of several, which took its model to its own
                self.teacher.to(self.model.device)
            with torch.no_grad():
                theirs = self.writer.say(self.teacher, [self.asked[p] for p in places], hidden=self.critic is not None)
            if stage.kd != "none":
                from ..objectives import divergence

                apart = divergence(said.logits, theirs.logits, stage.kd, temperature=stage.temperature)
                each = (1 - stage.kd_weight) * each + stage.kd_weight * apart
            if self.critic is not None:
                extra = self._matched(said.hidden, theirs.hidden)
                return _mean(each, weights) + stage.hidden_weight * extra
        return _mean(each, weights)

    def _told(self, places: Sequence[int], said: Any) -> torch.Tensor:
        """The divergence from what a hosted teacher told; at tokens of which it told nothing, cross-entropy."""
        import torch

        from ..objectives import hard_loss, top_divergence

        tops: list[dict[int, float]] = []
        for place in places:
            answer = self.rows[place].tasks[0]
            assert answer is not None
            told = list(self.stored[place])
            tops += told + [{}] * (len(answer.answer) - len(told))
        width = max(1, *(len(top) for top in tops))
        where = torch.full((len(tops), width), -1)
        logs = torch.zeros(len(tops), width)
        for row, top in enumerate(tops):
            where[row, : len(top)] = torch.tensor(list(top), dtype=torch.long)
            logs[row, : len(top)] = torch.tensor(list(top.values()))
        known = torch.tensor([bool(top) for top in tops], device=said.rows.device)
        apart = top_divergence(said.logits, where.to(said.rows.device), logs.to(said.rows.device))
        return torch.where(known, apart, hard_loss(said.logits, said.targets))

    def _matched(self, mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        import torch

        from ..objectives import mean_square, mi_alpha

        mine, theirs = mine.float(), theirs.float()
        if self.stage.hidden == "mse":
            return mean_square(self.critic.student(mine), theirs).mean()
        some = torch.linspace(0, len(mine) - 1, min(TOKENS, len(mine)), device=mine.device).long()
        return mi_alpha(self.critic(mine[some], theirs[some])).mean()


def _mean(each: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (each * weights).sum() / weights.sum()


def _with_answer(row: CodedRow, ids: Sequence[int]) -> CodedRow:
    """The row with the teacher's own tokens for its answer, and the end after them."""
    task = row.tasks[0]
    assert task is not None
    return CodedRow(row.place, row.weight, (Coded(task.prompt, (*ids, task.answer[-1])),))
