"""Mean appearance of the diagnoses, and how patients differ from it.

The classes overlap on purpose: one patient's adenoma may have larger and paler nuclei than another's carcinoma.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Diagnosis:
    """Mean appearance of a diagnosis.

    Attributes:
        label: 1 = nuclei of papillary carcinoma, 0 = not.
        nuclear_radius_um: Mean radius of the nuclei.
        clearing: Share of the chromatin that is missing inside the membrane, 0..1.
        spacing: Least distance of neighbouring nuclei, in nuclear diameters.
        aspect: Mean ratio of long to short nuclear axis.
        follicle_um: Radius of the follicles, or half the distance of papillae.
        papillary: Share of fields with papillae instead of follicles, 0..1.
    """

    label: int
    nuclear_radius_um: float
    clearing: float
    spacing: float
    aspect: float
    follicle_um: float
    papillary: float


DIAGNOSES = {
    "PTC": Diagnosis(1, 4.1, 0.52, 0.76, 1.32, 20.0, 0.75),
    "FA": Diagnosis(0, 3.5, 0.20, 0.98, 1.14, 34.0, 0.0),
    "FVPTC": Diagnosis(1, 4.0, 0.48, 0.80, 1.28, 24.0, 0.0),
    "FTC": Diagnosis(0, 3.6, 0.24, 0.92, 1.18, 20.0, 0.0),
    "NIFTP": Diagnosis(1, 3.9, 0.42, 0.84, 1.25, 30.0, 0.0),
}


@dataclass(frozen=True)
class PatientEffect:
    """Factors around 1, and a shift of the clearing, that all slides of a patient share."""

    hematoxylin: float = 1.0
    eosin: float = 1.0
    nuclear_size: float = 1.0
    follicle_size: float = 1.0
    spacing: float = 1.0
    clearing_shift: float = 0.0

    @staticmethod
    def sample(rng: np.random.Generator) -> "PatientEffect":
        """A random patient."""
        return PatientEffect(
            hematoxylin=rng.lognormal(0, 0.20),
            eosin=rng.lognormal(0, 0.20),
            nuclear_size=rng.lognormal(0, 0.08),
            follicle_size=rng.lognormal(0, 0.22),
            spacing=rng.lognormal(0, 0.13),
            clearing_shift=rng.normal(0, 0.13),
        )
