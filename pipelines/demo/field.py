"""One field of view: a diagnosis, seen in one patient, at one hospital."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import expit

from components.core.errors import ConfigError
from pipelines.demo.diagnoses import DIAGNOSES, Diagnosis, PatientEffect
from pipelines.demo.noise import Field, rough_noise, scatter_points, smooth_noise
from pipelines.demo.nuclei import Nuclei, render_nuclei
from pipelines.demo.stain import Hospital, photograph
from pipelines.demo.tissue import fibres, follicles, papillae

MARGIN_UM = 8.0  # drawn beyond the edge, so that cells are cut by it


def render_field(
    rng: np.random.Generator,
    hospital: Hospital,
    diagnosis: str,
    patient_effect: PatientEffect,
    size_px: int = 256,
    mpp: float = 0.5,
) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """Renders one field, with its ground truth.

    Args:
        rng: Source of all randomness.
        hospital: Stain and scanner.
        diagnosis: One of DIAGNOSES.
        patient_effect: Factors that all fields of the patient share.
        size_px: Edge of the square field, pixels.
        mpp: Micrometres per pixel.

    Returns:
        The field [size, size, 3], and its truth: `nuclei` (follicular cells with their centre in the field),
        `nuclear_radius_um` and `clearing` (their means).

    Raises:
        ConfigError: The diagnosis is unknown, or the field is too small for a follicle.
    """
    if diagnosis not in DIAGNOSES:
        raise ConfigError(f"There is no diagnosis {diagnosis!r} in the phantom; it has {', '.join(DIAGNOSES)}.")
    if not 0.1 <= mpp <= 4:
        raise ConfigError(f"The phantom is drawn at 0.1 to 4 um per pixel, not at {mpp}: choose an mpp in that range.")
    if size_px < 32:
        raise ConfigError(f"A phantom field has at least 32 pixels a side, not {size_px}: give a larger size_px.")
    look = DIAGNOSES[diagnosis]
    margin_px = int(np.ceil(MARGIN_UM / mpp))
    wide_px = size_px + 2 * margin_px

    radius_um = look.nuclear_radius_um * patient_effect.nuclear_size
    follicle_um = look.follicle_um * patient_effect.follicle_size * rng.lognormal(0, 0.10)
    if rng.random() < look.papillary:
        depth_um, colloid = papillae(rng, wide_px, mpp, 2 * follicle_um), 0.0
    else:
        depth_um, colloid = follicles(rng, wide_px, mpp, follicle_um), rng.uniform(0.45, 0.75)
    height_um = 2.1 * radius_um + 1.6 + 0.7 * smooth_noise(rng, wide_px, 4 / mpp)

    cells = _follicular_nuclei(rng, look, patient_effect, radius_um, depth_um, height_um, mpp)
    hematoxylin, eosin = _background(rng, depth_um, height_um, colloid, cells.centres, mpp)
    chromatin = rough_noise(rng, wide_px, 1.6 / mpp)
    for nuclei in (cells, _stromal_nuclei(rng, depth_um, mpp)):
        dye, cover = render_nuclei(rng, nuclei, chromatin, mpp)
        hematoxylin = hematoxylin * (1 - 0.9 * cover) + dye
        eosin = eosin * (1 - 0.35 * cover)
    thickness = 1 + 0.05 * smooth_noise(rng, wide_px, 30 / mpp)
    inner = slice(margin_px, margin_px + size_px)
    pixels = photograph(
        rng,
        hospital,
        (patient_effect.hematoxylin * thickness * hematoxylin)[inner, inner],
        (patient_effect.eosin * thickness * eosin)[inner, inner],
        mpp,
    )
    shown = ((cells.centres >= margin_px) & (cells.centres < margin_px + size_px)).all(axis=1)
    return pixels, {
        "nuclei": int(shown.sum()),
        "nuclear_radius_um": float(cells.radius[shown].mean() * mpp) if shown.any() else 0.0,
        "clearing": float(cells.clearing[shown].mean()) if shown.any() else 0.0,
    }


def _follicular_nuclei(
    rng: np.random.Generator,
    look: Diagnosis,
    patient: PatientEffect,
    radius_um: float,
    depth_um: Field,
    height_um: Field,
    mpp: float,
) -> Nuclei:
    """Nuclei in a row along the basement membrane; the more crowded, the less in line."""
    out_of_line_um = 0.10 + 0.35 * max(0.0, 1.0 - look.spacing)
    band = np.abs(depth_um / height_um - 0.44) < out_of_line_um
    centres = scatter_points(rng, band, 2 * radius_um * look.spacing * patient.spacing / mpp)
    n = len(centres)
    return Nuclei(
        centres=centres,
        radius=radius_um / mpp * rng.lognormal(0, 0.10, n),
        aspect=1 + (look.aspect - 1) * rng.gamma(4, 0.25, n),
        angle=_uphill(depth_um, centres) + rng.normal(0, 0.7, n),
        clearing=np.clip(look.clearing + patient.clearing_shift + rng.normal(0, 0.12, n), 0.0, 0.85),
        strength=1.75 * rng.lognormal(0, 0.13, n),
    )


def _stromal_nuclei(rng: np.random.Generator, depth_um: Field, mpp: float) -> Nuclei:
    """Thin dark nuclei of fibroblasts and endothelium, lying along the fibres."""
    centres = scatter_points(rng, depth_um < -1.0, 9.0 / mpp)
    n = len(centres)
    return Nuclei(
        centres=centres,
        radius=2.1 / mpp * rng.lognormal(0, 0.15, n),
        aspect=rng.uniform(1.2, 5.0, n),
        angle=_uphill(depth_um, centres) + np.pi / 2 + rng.normal(0, 0.25, n),
        clearing=np.zeros(n),
        strength=1.7 * rng.lognormal(0, 0.2, n),
    )


def _background(
    rng: np.random.Generator,
    depth_um: Field,
    height_um: Field,
    colloid: float,
    centres: NDArray[np.float64],
    mpp: float,
) -> tuple[Field, Field]:
    """Haematoxylin and eosin of stroma, cytoplasm and lumen, [size, size] each."""
    size_px = len(depth_um)
    grain = rough_noise(rng, size_px, 5 / mpp)
    clumps = rough_noise(rng, size_px, 14 / mpp)
    stroma = expit(-depth_um / 0.35)
    lumen = expit((depth_um - height_um) / 0.4)
    epithelium = (1 - stroma) * (1 - lumen)

    tone, border = _cells(rng, centres, size_px, mpp)
    cytoplasm = np.maximum(0.36 + 0.06 * tone + 0.06 * grain + 0.06 * clumps - 0.14 * border, 0.05)
    strands = fibres(rng, depth_um, mpp)
    cleft = expit((strands * 0.5 + 0.5 * clumps + 1.05) * 8)  # fibres part here and there
    collagen = np.maximum(0.72 + 0.20 * strands + 0.10 * grain, 0.05) * cleft
    # Colloid shrinks: it leaves a scalloped white rim in places.
    rim_um = np.maximum(1.6 * smooth_noise(rng, size_px, 2.5 / mpp) + 0.6 * clumps - 1.2, -2)
    filled = colloid * expit((depth_um - height_um - rim_um) / 0.35) * (1 + 0.07 * clumps)
    eosin = stroma * collagen + epithelium * cytoplasm + lumen * np.maximum(filled, 0)
    hematoxylin = stroma * 0.06 * cleft + epithelium * np.maximum(
        0.22 + 0.05 * clumps + 0.04 * tone + 0.05 * grain - 0.08 * border, 0
    )
    return hematoxylin, eosin


def _cells(rng: np.random.Generator, centres: NDArray[np.float64], size_px: int, mpp: float) -> tuple[Field, Field]:
    """A tone per cell, and how near the border to the next cell is (0..1), [size, size] each."""
    empty = np.ones((size_px, size_px), dtype=bool)
    rows, columns = np.clip(np.rint(centres).astype(int), 0, size_px - 1).T
    empty[rows, columns] = False
    if empty.all():
        return np.zeros(empty.shape, np.float32), np.zeros(empty.shape, np.float32)
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    cell = nearest[0] * size_px + nearest[1]
    tones = rng.standard_normal(size_px * size_px, dtype=np.float32)
    border = np.zeros(empty.shape, np.float32)
    border[:, 1:] += cell[:, 1:] != cell[:, :-1]
    border[1:] += cell[1:] != cell[:-1]
    return gaussian_filter(tones[cell], 0.5 / mpp), np.minimum(1.6 * gaussian_filter(border, 0.4 / mpp), 1)


def _uphill(depth_um: Field, centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction from the basement membrane towards the lumen at each centre, radians: [n]."""
    rows, columns = np.clip(np.rint(centres).astype(int), 1, len(depth_um) - 2).T
    return np.arctan2(
        depth_um[rows + 1, columns] - depth_um[rows - 1, columns],
        depth_um[rows, columns + 1] - depth_um[rows, columns - 1],
    )
