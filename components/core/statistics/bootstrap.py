"""Cases with the bootstrap's draws of their patients, shared by all arms that predict these cases."""

import numpy as np
import pandas as pd

from components.core.statistics.auroc import Floats, pair_shares
from components.core.statistics.intervals import resample_weights
from components.core.statistics.patients import patient_codes


class Bootstrap:
    """The draws of the cases, and the pair shares of every arm, computed once.

    Attributes:
        weights: [1 + resamples, n]: a row of ones, which is the sample itself, then `resample_weights`.
        positive: [n].
        sites: [n], a number per site.
        patients: [n], a number per patient.
    """

    def __init__(self, cases: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> None:
        drawn = resample_weights(cases, resamples=resamples, seed=seed)
        self.weights: Floats = np.concatenate([np.ones((1, len(cases))), drawn])
        self.positive = cases["class"].to_numpy() == 1
        self.sites = pd.factorize(cases["site"])[0].astype(np.intp)
        self.patients = patient_codes(cases)
        self._shares: dict[bytes, Floats] = {}

    def shares(self, cases: pd.DataFrame) -> Floats:
        """`pair_shares` within sites of an arm's scores on these cases, [1 + resamples, n]."""
        scores = cases["prob_positive"].to_numpy(dtype=float)
        key = scores.tobytes()
        if key not in self._shares:
            self._shares[key] = pair_shares(scores, self.positive, self.sites, self.weights)
        return self._shares[key]
