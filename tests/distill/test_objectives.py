"""Every objective against an independent reference: numpy written out, another library, gradients by differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from dstill.distill import objectives as of
from scipy.special import rel_entr
from scipy.special import softmax as np_softmax

ROWS, CLASSES = 5, 7


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shares(seed: int, rows: int = ROWS, classes: int = CLASSES) -> torch.Tensor:
    return torch.softmax(draw(seed, rows, classes), dim=-1)


LOGITS, TEACHER, SHARES = draw(0, ROWS, CLASSES), draw(1, ROWS, CLASSES), shares(2)
TARGETS = torch.tensor([0, 3, 6, 3, 1])
ONE_HOT = torch.nn.functional.one_hot(TARGETS, CLASSES).double()
TRANSITION = torch.softmax(draw(3, CLASSES, CLASSES) + 3 * torch.eye(CLASSES, dtype=torch.float64), dim=-1)
P, Q = np_softmax(TEACHER.numpy(), -1), np_softmax(LOGITS.numpy(), -1)


def kl(p: Any, q: Any) -> Any:
    return rel_entr(p, q).sum(-1)


def jsd(beta: float) -> Any:
    m = beta * P + (1 - beta) * Q
    return beta * kl(P, m) + (1 - beta) * kl(Q, m)


def soft_at(temperature: float) -> Any:
    q = np_softmax(LOGITS.numpy() / temperature, -1)
    return -(SHARES.numpy() * np.log(q)).sum(-1) * temperature**2


def word(p: Any) -> Any:
    return np.array([-math.log(row[t]) for row, t in zip(p, TARGETS, strict=True)])


def by_pairs(vectors: Any, targets: Any) -> list[float]:
    """Each row against every other, the likely and the unlikely ones weighed alike."""
    found = []
    for i, one in enumerate(vectors):
        far: dict[str, list[tuple[float, float]]] = {"alike": [], "unlike": []}
        for j, other in enumerate(vectors):
            if i != j:
                cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
                same = sum(targets[i, k] * targets[j, k] for k in range(targets.shape[1]))
                far["alike"].append((same, (cosine - same) ** 2))
                far["unlike"].append((1 - same, (cosine - same) ** 2))
        found.append(sum(sum(w * d for w, d in part) / sum(w for w, _ in part) for part in far.values()) / 2)
    return found


CASES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Any]] = {
    "hard": (lambda x: of.hard_loss(x, TARGETS), word(Q)),
    "soft": (lambda x: of.soft_loss(x, SHARES), soft_at(1)),
    "soft at 3": (lambda x: of.soft_loss(x, SHARES, temperature=3.0), soft_at(3)),
    "mixed": (lambda x: of.mixed_loss(x, TARGETS, SHARES, 0.3), 0.3 * word(Q) + 0.7 * soft_at(1)),
    "forward": (lambda x: of.divergence(x, TEACHER, "forward"), kl(P, Q)),
    "reverse": (lambda x: of.divergence(x, TEACHER, "reverse"), kl(Q, P)),
    "jsd": (lambda x: of.divergence(x, TEACHER, "jsd"), jsd(0.5)),
    "jsd 0.1": (lambda x: of.divergence(x, TEACHER, "jsd", beta=0.1), jsd(0.1)),
    "forward at 2": (
        lambda x: of.divergence(x, TEACHER, "forward", temperature=2.0),
        4 * kl(np_softmax(TEACHER.numpy() / 2, -1), np_softmax(LOGITS.numpy() / 2, -1)),
    ),
    "generalised": (lambda x: of.generalised(x, ONE_HOT, 0.7), [(1 - math.exp(-w) ** 0.7) / 0.7 for w in word(Q)]),
    "generalised at 1": (lambda x: of.generalised(x, ONE_HOT, 1.0), np.abs(Q - ONE_HOT.numpy()).sum(-1) / 2),
    "symmetric": (
        lambda x: of.symmetric(x, ONE_HOT),
        0.1 * word(Q) + 4 * (Q * (1 - ONE_HOT.numpy())).sum(-1),
    ),
    "forward corrected": (lambda x: of.forward_corrected(x, ONE_HOT, TRANSITION), word(Q @ TRANSITION.numpy())),
    "backward corrected": (
        lambda x: of.backward_corrected(x, ONE_HOT, TRANSITION),
        (ONE_HOT.numpy() @ np.linalg.inv(TRANSITION.numpy()) * -np.log(Q)).sum(-1),
    ),
    "words": (lambda x: of.word_loss(x, SHARES), soft_at(1)),
    "pairs": (lambda x: of.pair_loss(x, SHARES), by_pairs(LOGITS.numpy(), SHARES.numpy())),
}


@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_its_formula_and_its_gradient_that_of_differences(name: str) -> None:
    loss, expected = CASES[name]
    assert loss(LOGITS).shape == (ROWS,)
    np.testing.assert_allclose(loss(LOGITS).numpy(), expected, rtol=1e-9, atol=1e-12)
    assert torch.autograd.gradcheck(loss, [LOGITS.clone().requires_grad_()])


def test_generalised_cross_entropy_goes_to_cross_entropy() -> None:
    np.testing.assert_allclose(of.generalised(LOGITS, ONE_HOT, 1e-6).numpy(), word(Q), rtol=1e-4)


def test_torch_agrees_on_the_divergences() -> None:
    p, q = torch.log_softmax(TEACHER, -1), torch.log_softmax(LOGITS, -1)
    theirs = torch.nn.functional.kl_div(q, p, reduction="none", log_target=True).sum(-1)
    torch.testing.assert_close(of.divergence(LOGITS, TEACHER), theirs)
    assert torch.all(of.divergence(TEACHER, TEACHER, "jsd").abs() < 1e-12)


def test_the_teacher_gets_no_gradient() -> None:
    teacher, student = TEACHER.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    for kind in ("forward", "reverse", "jsd"):
        of.divergence(student, teacher, kind).sum().backward()  # type: ignore[arg-type]
    of.mean_square(student, teacher).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_stored_log_probabilities_bound_the_divergence_and_reach_it_when_all_are_told() -> None:
    logs = torch.log_softmax(TEACHER, -1)
    whole = of.divergence(LOGITS, TEACHER)
    before = torch.zeros(ROWS, dtype=torch.float64)
    for k in range(1, CLASSES + 1):
        top = logs.topk(k, dim=-1)
        found = of.top_divergence(LOGITS, top.indices, top.values)
        rest = 1 - top.values.exp().sum(-1)
        mine = torch.log_softmax(LOGITS, -1).gather(-1, top.indices)
        lost = 1 - mine.exp().sum(-1)
        by_hand = (top.values.exp() * (top.values - mine)).sum(-1)
        if k < CLASSES - 1:
            torch.testing.assert_close(found, by_hand + rest * (rest / lost).log())
        assert torch.all(found <= whole + 1e-9)
        assert torch.all(found >= before - 1e-9)
        before = found
    torch.testing.assert_close(before, whole)
    gaps = torch.full((ROWS, 2), -1)
    padded = of.top_divergence(
        LOGITS, torch.cat([logs.topk(2).indices, gaps], 1), torch.cat([logs.topk(2).values, gaps], 1)
    )
    torch.testing.assert_close(padded, of.top_divergence(LOGITS, logs.topk(2).indices, logs.topk(2).values))
    one = logs.topk(3)
    assert torch.autograd.gradcheck(
        lambda x: of.top_divergence(x, one.indices, one.values), [LOGITS.clone().requires_grad_()]
    )


def test_bootstrapping_by_hand_and_without_gradient_through_the_belief() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = of.bootstrapped(logits, ONE_HOT, 0.8)
    target = 0.8 * ONE_HOT.numpy() + 0.2 * Q
    np.testing.assert_allclose(loss.detach().numpy(), -(target * np.log(Q)).sum(-1))
    loss.sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), Q - target, atol=1e-12)  # type: ignore[union-attr]


def test_a_loss_by_its_name_has_its_papers_constant() -> None:
    loss = of.robust_loss("bootstrap", LOGITS, ONE_HOT)
    target = 0.95 * ONE_HOT.numpy() + 0.05 * Q
    np.testing.assert_allclose(loss.numpy(), -(target * np.log(Q)).sum(-1))


def test_corrections_recover_the_truth_from_labels_with_known_mistakes() -> None:
    """With labels drawn by T, the backward loss is the clean loss on average; the forward one is least at the truth."""
    truth = shares(9, 1, 3)[0]
    t = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]], dtype=torch.float64)
    noisy = truth @ t
    logits = draw(11, 1, 3)
    each = torch.eye(3, dtype=torch.float64)
    same = logits.expand(3, -1)
    backward = (noisy * of.backward_corrected(same, each, t)).sum()
    clean = -(truth * torch.log_softmax(logits[0], -1)).sum()
    assert float(backward) == pytest.approx(float(clean))
    x = truth.log().clone().requires_grad_()
    (noisy * of.forward_corrected(x.expand(3, -1), each, t)).sum().backward()
    assert float(x.grad.abs().max()) < 1e-9  # type: ignore[union-attr]


def test_the_mistakes_of_a_labeller_are_found_by_a_second_opinion() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1])
    votes = torch.tensor([[1, 0.0], [1, 0], [0, 1], [1, 0], [0, 1]])
    expected = torch.tensor([[2, 1.0], [0, 2]]) / torch.tensor([[3.0], [2]])
    torch.testing.assert_close(of.transition_by_agreement(labels, votes, prior=0), expected)
    assert torch.all(of.transition_by_agreement(labels, votes[:, :1].new_zeros(5, 2)) == torch.eye(2))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
def test_mi_alpha_is_its_formula(alpha: float) -> None:
    scores = draw(5, 4, 4)
    f, q = np.exp(scores.numpy()), math.e
    base = alpha * f.mean(1) + (1 - alpha) * q
    expected = 1 + np.log(np.diag(f) / base) - (f / base[:, None]).mean(1)
    np.testing.assert_allclose(-of.mi_alpha(scores, alpha).numpy(), expected)
    assert torch.autograd.gradcheck(lambda s: of.mi_alpha(s, alpha), [scores.clone().requires_grad_()])


def test_mi_alpha_at_one_is_info_nce_and_never_above_the_log_of_the_batch() -> None:
    scores = draw(6, 8, 8)
    theirs = torch.nn.functional.cross_entropy(scores, torch.arange(8), reduction="none") - math.log(8)
    torch.testing.assert_close(of.mi_alpha(scores, 1.0), theirs)
    assert float(-of.mi_alpha(50 * torch.eye(8, dtype=torch.float64), 1.0).mean()) <= math.log(8) + 1e-9


def test_mi_alpha_finds_no_more_information_than_there_is() -> None:
    """Two correlated normals, the best critic: the bound is near the truth and, on average, below it."""
    rho, rows = 0.8, 256
    truth = -0.5 * math.log(1 - rho**2)
    found = []
    for seed in range(20):
        x, e = draw(seed, rows), draw(100 + seed, rows)
        y = rho * x + math.sqrt(1 - rho**2) * e
        # log p(y | x) / p(y), which is the best critic, plus 1 for the bound of Nguyen et al.
        f = -0.5 * math.log(1 - rho**2) - (y[None] - rho * x[:, None]) ** 2 / (2 * (1 - rho**2)) + y[None] ** 2 / 2
        found.append([float(-of.mi_alpha(f + 1, alpha).mean()) for alpha in (0.0, 0.5, 1.0)])
    means = np.mean(found, axis=0)
    assert all(truth - 0.1 < mean < truth + 0.05 for mean in means)


def test_the_critic_makes_scores_and_is_drawn_by_its_seed() -> None:
    one, same, other = (of.Critic(6, 4, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.student.weight, same.student.weight)
    assert not torch.equal(one.student.weight, other.student.weight)
    scores = one(torch.ones(3, 6), torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == (3, 3)
    assert float(scores.detach().abs().max()) <= 10.0001
    rows = of.mean_square(draw(1, 3, 4), draw(2, 3, 4))
    np.testing.assert_allclose(rows.numpy(), ((draw(1, 3, 4) - draw(2, 3, 4)) ** 2).numpy().mean(-1))


def test_words_of_rationales_are_those_that_the_input_does_not_say() -> None:
    targets = of.WordTargets.of([[1, 2, 3], [2, 3, 9], [3, 7], []], [[1], [4], [5], [6]], least=2)
    assert targets.words == (3, 2) or targets.words == (2, 3)
    place = {word: column for column, word in enumerate(targets.words)}
    assert targets.shares[0, place[2]] == 0.5
    assert targets.shares[2, place[3]] == 1.0
    assert targets.shares[3].sum() == 0


def test_rationales_of_the_batch_are_each_others_negatives() -> None:
    scores = draw(8, 4, 4)
    present = torch.tensor([True, True, False, True])
    found = of.in_batch(scores, present)
    for row in (0, 1, 3):
        terms = [math.exp(scores[row, other]) for other in (0, 1, 3)]
        assert float(found[row]) == pytest.approx(-math.log(math.exp(scores[row, row]) / sum(terms)))
    assert float(found[2]) == 0
    free = scores.clone().requires_grad_()
    of.in_batch(free, present).sum().backward()
    assert torch.isfinite(free.grad).all()  # type: ignore[arg-type]
    assert torch.all(free.grad[:, 2] == 0)  # type: ignore[index]
    torch.testing.assert_close(
        of.in_batch(scores, torch.ones(4, dtype=torch.bool)),
        torch.nn.functional.cross_entropy(scores, torch.arange(4), reduction="none"),
    )
