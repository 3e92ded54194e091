"""Prediction tables of the tests."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st


def one_tile_each(truth, score, arm="none", seed="0", site="here", **columns):
    """A table with one tile per patient, predicted at 0.5."""
    truth, score = np.asarray(truth), np.asarray(score, dtype=float)
    return pd.DataFrame(
        {
            "patient": [f"p{place}" for place in range(len(truth))],
            "class": truth,
            "pred_class": (score > 0.5).astype(int),
            "prob_positive": score,
            "arm": arm,
            "seed": seed,
            "site": site,
        }
        | columns
    )


def separated(rng, positives, negatives, shift):
    """Truth, and scores in 0..1 of two classes `shift` standard deviations apart."""
    truth = np.repeat([1, 0], [positives, negatives])
    return truth, 1 / (1 + np.exp(-(rng.normal(size=len(truth)) + shift * (truth - 0.5))))


# scores from a coarse grid, so that ties are common
GRID = st.integers(0, 12).map(lambda step: step / 12)


@st.composite
def scored(draw, arms=2, least=2):
    """Truth with at least `least` of each class, and a list of scores per arm."""
    positives, negatives = draw(st.integers(least, 14)), draw(st.integers(least, 14))
    truth = draw(st.permutations([1] * positives + [0] * negatives))
    scores = [draw(st.lists(GRID, min_size=len(truth), max_size=len(truth))) for _ in range(arms)]
    return np.array(truth), [np.array(one) for one in scores]
