"""A classifier by pairs: its encoder learns which rows share a label, and a head is fitted to what it then sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..training.devices import device_of, moved

if TYPE_CHECKING:
    import torch

AT_ONCE = 64
"""Rows that are read together where nothing is learned."""
TRUST = 10.0
"""How much the head trusts rows: the inverse of the weight of its squares, as in scikit-learn's logistic regression."""


@dataclass(frozen=True)
class PairLoss:
    """Takes the places of a batch's rows; their mean loss over all pairs of them."""

    model: Any
    collate: Callable[[Sequence[int]], dict[str, torch.Tensor]]
    """Makes a batch's tensors from the places of its rows."""
    targets: torch.Tensor
    """Probabilities of the labels, [rows, labels]."""
    weights: torch.Tensor
    """[rows]."""
    beside: None = None

    def __call__(self, batch: Sequence[int]) -> torch.Tensor:
        """The batch's mean loss."""
        from ..objectives import pair_loss

        places, device = list(batch), device_of(self.model)
        feed = {name: moved(tensor, device) for name, tensor in self.collate(places).items()}
        each = pair_loss(self.model(**feed).pooled.float(), moved(self.targets[places], device))
        w = moved(self.weights[places], device)
        return (each * w).sum() / w.sum()

    def share(self, batch: Sequence[int]) -> float:
        """The weight of rows."""
        return max(float(self.weights[list(batch)].sum()), 1e-12)

    def mean(self) -> float:
        """The loss of all rows, so many at a time."""
        parts = self._parts()
        return sum(float(self(part)) * self.share(part) for part in parts) / sum(map(self.share, parts))

    def fit_head(self) -> None:
        """Fit the model's head to its rows: logistic regression on what it reads, in units of its norm."""
        import torch

        self.model.eval()
        head, device = self.model.head, device_of(self.model)
        with torch.no_grad():
            feeds = ({name: moved(ids, device) for name, ids in self.collate(part).items()} for part in self._parts())
            rows = torch.cat([self.model(**feed).pooled.double().cpu() for feed in feeds])
        scale = rows.norm(dim=-1).mean()
        rows, weights = rows / scale, self.weights.double() / self.weights.double().mean()
        weight, bias = (torch.zeros(p.shape, dtype=torch.float64, requires_grad=True) for p in (head.weight, head.bias))
        search = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

        def step() -> torch.Tensor:
            search.zero_grad()
            logs = torch.log_softmax(rows @ weight.T + bias, dim=-1)
            loss = -((self.targets.double() * logs).sum(-1) * weights).sum() + (weight**2).sum() / (2 * TRUST)
            (loss / len(rows)).backward()
            return loss / len(rows)

        search.step(step)
        with torch.no_grad():
            head.weight.copy_(weight / scale)
            head.bias.copy_(bias)

    def _parts(self) -> list[range]:
        rows = len(self.weights)
        return [range(start, min(start + AT_ONCE, rows)) for start in range(0, rows, AT_ONCE)]
