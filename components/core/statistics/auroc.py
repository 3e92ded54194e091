"""Area under the ROC curve from placements: one primitive for the estimate, DeLong's variance and the bootstrap.

A case's placement is the weight of the other class that it is ranked on the right side of, ties counting half
(DeLong et al. 1988). AUROC is the positives' mean placement per unit of negative weight; placements restricted to a
group (a site, a fold) use within-group pairs only.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Groups = npt.NDArray[np.intp]


def placements(scores: Floats, positive: Flags, weights: Floats) -> Floats:
    """Weight of the other class ranked on the right side of each case.

    Args:
        scores: [n], higher = more positive.
        positive: [n].
        weights: [b, n], non-negative: one row per resample, a row of ones for the sample itself.

    Returns:
        [b, n].
    """
    order = np.argsort(scores, kind="stable")
    values, starts = np.unique(scores[order], return_index=True)
    rank = np.searchsorted(values, scores)  # [n], index among the distinct scores
    ordered = np.take(weights, order, axis=1)
    positives = np.add.reduceat(ordered * positive[order], starts, axis=1)  # [b, distinct]
    negatives = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    above = positives.sum(axis=1, keepdims=True) - np.cumsum(positives, axis=1) + positives / 2
    return np.where(positive, np.take(below, rank, axis=1), np.take(above, rank, axis=1))


def pair_shares(scores: Floats, positive: Flags, groups: Groups, weights: Floats) -> Floats:
    """Placements among within-group pairs over the number of such pairs; each class's weighted sum is the AUROC.

    Args:
        scores: [n].
        positive: [n].
        groups: [n], 0, 1, …
        weights: [b, n].

    Returns:
        [b, n]; NaN in a resample without a within-group pair.
    """
    shares = np.zeros_like(weights)
    pairs = np.zeros(len(weights))
    for group in np.unique(groups):
        inside = groups == group
        drawn, truth = weights[:, inside], positive[inside]
        shares[:, inside] = placements(scores[inside], truth, drawn)
        pairs += (drawn * truth).sum(axis=1) * (drawn * ~truth).sum(axis=1)
    return shares / np.where(pairs > 0, pairs, np.nan)[:, None]


def within_auroc(scores: Floats, positive: Flags, groups: Groups, weights: Floats) -> Floats:
    """AUROC over within-group pairs, every pair alike, [b]; NaN without any. Arguments as in `pair_shares`.

    A pooled AUROC also ranks one site's cases against another's, and so rewards separating the sites.
    """
    if not positive.any() or positive.all():
        return np.full(len(weights), np.nan)
    auroc: Floats = (pair_shares(scores, positive, groups, weights) * weights * positive).sum(axis=1)
    return auroc


def mean_auroc(scores: Floats, positive: Flags, groups: Groups, weights: Floats) -> Floats:
    """Mean over groups of the AUROC within each, groups of one class left out, [b]. Arguments as in `pair_shares`.

    For folds: networks of different folds have different scales, so their scores are not ranked against each other.
    """
    total, counted = np.zeros(len(weights)), np.zeros(len(weights))
    for group in np.unique(groups):
        inside = groups == group
        value = within_auroc(scores[inside], positive[inside], groups[inside], weights[:, inside])
        total += np.nan_to_num(value)
        counted += ~np.isnan(value)
    return total / np.where(counted > 0, counted, np.nan)
