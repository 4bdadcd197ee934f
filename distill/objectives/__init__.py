"""Objectives: what a student is asked to come near to, one file a family.

Every one is a pure function of tensors that returns a loss for each row, [rows], so that callers weigh and average.
Logits are [rows, classes] with any classes: labels of a classifier, or the vocabulary at the tokens of an answer.
"""

from .divergence import Divergence as Divergence
from .divergence import divergence as divergence
from .divergence import top_divergence as top_divergence
from .hidden import Critic as Critic
from .hidden import mean_square as mean_square
from .hidden import mi_alpha as mi_alpha
from .pairs import pair_loss as pair_loss
from .rationale import WordTargets as WordTargets
from .rationale import in_batch as in_batch
from .rationale import word_loss as word_loss
from .robust import Robust as Robust
from .robust import backward_corrected as backward_corrected
from .robust import bootstrapped as bootstrapped
from .robust import forward_corrected as forward_corrected
from .robust import generalised as generalised
from .robust import robust_loss as robust_loss
from .robust import symmetric as symmetric
from .robust import transition_by_agreement as transition_by_agreement
from .soft import hard_loss as hard_loss
from .soft import mixed_loss as mixed_loss
from .soft import soft_loss as soft_loss
