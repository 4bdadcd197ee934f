"""statistics: intervals, tests and power of scores; what a figure on a board rests on.

Scores lie in [0, 1] unless a function says otherwise. An example that could not be scored is ``None`` or nan: it is
counted, or it is refused. All chance comes from the seed that is handed in.
"""

from .best import Best as Best
from .best import best_of_many as best_of_many
from .bootstrap import bca as bca
from .bootstrap import paired_bootstrap as paired_bootstrap
from .bootstrap import percentile as percentile
from .calibration import Calibration as Calibration
from .calibration import calibration as calibration
from .clusters import ClusterMean as ClusterMean
from .clusters import cluster_difference as cluster_difference
from .clusters import cluster_mean as cluster_mean
from .clusters import cluster_score as cluster_score
from .hypothesis import mcnemar as mcnemar
from .hypothesis import mcnemar_many as mcnemar_many
from .hypothesis import sign_flip as sign_flip
from .hypothesis import sign_flips as sign_flips
from .hypothesis import two_sample as two_sample
from .intervals import Interval as Interval
from .intervals import bonett_price_bounds as bonett_price_bounds
from .intervals import bounded_bounds as bounded_bounds
from .intervals import bounded_mean as bounded_mean
from .intervals import clopper_pearson as clopper_pearson
from .intervals import clopper_pearson_bounds as clopper_pearson_bounds
from .intervals import mean_interval as mean_interval
from .intervals import paired_interval as paired_interval
from .intervals import wilson as wilson
from .intervals import wilson_bounds as wilson_bounds
from .judge import Judged as Judged
from .judge import judged_mean as judged_mean
from .monitor import Monitored as Monitored
from .monitor import anytime_interval as anytime_interval
from .monitor import anytime_mean as anytime_mean
from .monitor import decisions as decisions
from .monitor import log_capital as log_capital
from .monitor import monitor as monitor
from .monitor import stopping as stopping
from .multiple import benjamini_hochberg as benjamini_hochberg
from .multiple import holm as holm
from .paired import Paired as Paired
from .paired import paired as paired
from .pairs import AllPairs as AllPairs
from .pairs import all_pairs as all_pairs
from .power import detectable_effect as detectable_effect
from .power import detectable_effect_single as detectable_effect_single
from .power import examples_needed as examples_needed
from .power import examples_needed_single as examples_needed_single
from .ranks import Ranks as Ranks
from .ranks import compact_letters as compact_letters
from .ranks import rank_intervals as rank_intervals
from .reliability import Agreement as Agreement
from .reliability import Reliability as Reliability
from .reliability import agreement as agreement
from .reliability import pass_at_k as pass_at_k
from .reliability import pass_hat_k as pass_hat_k
from .reliability import reliability as reliability
from .resample import resampled_means as resampled_means
from .resample import weight_blocks as weight_blocks
from .slices import Slice as Slice
from .slices import Stratified as Stratified
from .slices import by_slice as by_slice
from .slices import stratified_mean as stratified_mean
from .values import as_scores as as_scores
from .values import scored as scored
