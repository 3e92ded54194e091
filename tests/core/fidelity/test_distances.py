"""Distances against golden numbers, scipy, by hand, and torch-fidelity on the same features."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from components.core.errors import DataError
from components.core.fidelity.fid import frechet_distance
from components.core.fidelity.kid import kernel_distance
from components.core.fidelity.prdc import compute_prdc, precision_recall

ROOT = Path(__file__).parents[3]
FILES = (ROOT / "tests/golden/metrics_small.npz", ROOT.parent / "shared/golden/stylegan2/metrics.npz")
CASES = (
    "full64",
    "full64_b",
    "rankdef128",
    "lowrank96",
    "zero_var_cols",
    "identical",
    "d2048_n96_n128",
    "d2048_rank40",
)


def golden_metrics(name: str) -> Mapping[str, np.ndarray]:
    """The file that has an array of this name, the committed or the full one; skips where it is not here."""
    for path in FILES:
        if path.exists() and name in (file := np.load(path)):
            return file
    pytest.skip(f"skipped: {name} is only in {FILES[1]}, which is not here")


def normal(n: int, d: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) * scale + shift).astype(np.float32)


def by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    covariances = [np.cov(one.astype(np.float64), rowvar=False, bias=True) for one in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    offset = a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)
    return float(offset @ offset + np.trace(covariances[0] + covariances[1] - 2 * root))


@pytest.mark.parametrize("case", CASES)
def test_frechet_is_the_golden_one(case: str) -> None:
    golden = golden_metrics(f"{case}/real")
    real, generated = golden[f"{case}/real"], golden[f"{case}/gen"]
    found = frechet_distance(real, generated)
    assert found == pytest.approx(float(golden[f"{case}/fid_exact_nuclear"]), rel=1e-6, abs=1e-6)
    assert found == pytest.approx(float(golden[f"{case}/fid_reference_sqrtm"]), abs=1e-3)


def test_frechet_is_sqrtms_for_full_rank() -> None:
    a, b = normal(600, 80, 0), normal(500, 80, 1, 1.3, 0.2)
    assert frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 40), m=st.integers(2, 40), d=st.integers(1, 30), seed=st.integers(0, 99))
def test_frechet_is_symmetric_moves_with_nothing_and_is_zero_on_itself(n: int, m: int, d: int, seed: int) -> None:
    a, b = normal(n, d, seed).astype(np.float64), normal(m, d, seed + 1, 2.0, 1.0).astype(np.float64)
    found = frechet_distance(a, b)
    size = 1 + abs(found)
    assert found >= 0
    assert frechet_distance(b, a) == pytest.approx(found, abs=1e-8 * size)
    assert frechet_distance(a + 3, b + 3) == pytest.approx(found, abs=1e-6 * size)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8 * size)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * d, rel=1e-6)


@pytest.mark.parametrize("case", ["full64", "full64_b", "rankdef128"])
def test_kernel_distance_is_the_golden_one(case: str) -> None:
    """Over subsets drawn as the reference drew them, from numpy's global state at seed 5; and of the first samples."""
    golden = golden_metrics(f"{case}/real")
    real, generated = golden[f"{case}/real"], golden[f"{case}/gen"]
    state = np.random.RandomState(5)
    found = kernel_distance(
        real, generated, subsets=20, subset_size=50, draw=lambda n, k: state.choice(n, k, replace=False)
    )
    assert found.value == pytest.approx(float(golden[f"{case}/kid_seed5_subsets20_size50"]), rel=1e-4, abs=1e-5)
    whole = kernel_distance(real, generated, subsets=1, draw=lambda _, k: np.arange(k))
    assert whole.value == pytest.approx(float(golden[f"{case}/kid_seed5_subsets1_all"]), rel=1e-4, abs=1e-5)


def test_two_halves_of_one_set_are_at_distance_zero_within_the_interval() -> None:
    """100 pairs of halves: the 95 % interval covers 0 about as often as it says, and the mean is 0."""
    features = normal(200, 32, 0)
    found = []
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(len(features))
        found.append(kernel_distance(features[order[:100]], features[order[100:]]))
    covered = np.mean([one.interval[0] <= 0 <= one.interval[1] for one in found])
    assert covered >= 0.9
    assert abs(np.mean([one.value for one in found])) < 0.2 * np.mean([one.standard_error for one in found])


def test_the_standard_error_is_the_spread_over_fresh_samples_or_somewhat_more() -> None:
    rng = np.random.default_rng(0)
    draws = [
        kernel_distance(rng.normal(size=(120, 16)), rng.normal(0.2, 1, size=(150, 16)), subsets=20, subset_size=60)
        for _ in range(100)
    ]
    spread = np.std([one.value for one in draws])
    assert 0.9 * spread < np.mean([one.standard_error for one in draws]) < 1.4 * spread


def test_the_sampling_error_is_the_spread_over_fresh_generated_samples_alone() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(40, 16))
    draws = [kernel_distance(real, rng.normal(0.2, 1, size=(100, 16)), subsets=20, seed=seed) for seed in range(150)]
    assert np.mean([one.sampling_error for one in draws]) == pytest.approx(
        np.std([one.value for one in draws]), rel=0.25
    )
    assert all(one.sampling_error < one.standard_error for one in draws)


@pytest.mark.parametrize("case", ["full64", "full64_b", "rankdef128"])
def test_precision_and_recall_are_the_golden_ones(case: str) -> None:
    golden = golden_metrics(f"{case}/real")
    found = precision_recall(golden[f"{case}/real"], golden[f"{case}/gen"])
    expected = [float(golden[f"{case}/{name}_k3"]) for name in ("precision", "recall")]
    assert found == pytest.approx(expected, abs=2e-3)  # the reference's distances are float32


def test_coverage_is_that_of_a_search_by_hand() -> None:
    real, generated = normal(90, 8, 0).astype(np.float64), normal(70, 8, 1, 1.1, 0.1).astype(np.float64)
    found = compute_prdc(real, generated, k=3)
    radius_real, radius_generated = (np.sort(cdist(one, one), axis=1)[:, 3] for one in (real, generated))
    across = cdist(real, generated)
    inside = across <= radius_real[:, None]
    assert found.precision == pytest.approx(inside.any(axis=0).mean())
    assert found.density == pytest.approx(inside.sum() / 3 / len(generated))
    assert found.coverage == pytest.approx(inside.any(axis=1).mean())
    assert found.recall == pytest.approx((across <= radius_generated).any(axis=1).mean())


def test_all_agree_with_torch_fidelity_on_the_same_features() -> None:
    torch = pytest.importorskip("torch")
    fidelity = pytest.importorskip("torch_fidelity", reason="skipped: torch-fidelity is not installed")
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    assert fidelity
    a, b = normal(400, 64, 0), normal(400, 64, 1, 1.2, 0.3)
    statistics = [fid_features_to_statistics(torch.from_numpy(one)) for one in (a, b)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    # theirs divides covariances by n - 1, ours, as the reference, by n
    scale = np.sqrt(400 / 399)
    centred = [(one - one.mean(0)) * scale + one.mean(0) for one in (a, b)]
    assert frechet_distance(*centred) == pytest.approx(theirs, rel=1e-4)
    kid = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subsets=50, kid_subset_size=400, kid_degree=3, kid_gamma=None,
        kid_coef0=1, kid_kernel="poly", rng_seed=1, verbose=False,
    )  # fmt: skip
    assert kernel_distance(a, b, subset_size=400).value == pytest.approx(kid[KEY_METRIC_KID_MEAN], rel=1e-3)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((5, 3)), np.zeros((5, 4)), "same d"),
        (np.zeros((1, 3)), np.zeros((5, 3)), "at least 2"),
        (np.full((5, 3), np.nan), np.zeros((5, 3)), "NaN"),
    ],
)
def test_features_that_cannot_be_meant(a: np.ndarray, b: np.ndarray, message: str) -> None:
    for measure in (frechet_distance, kernel_distance):
        with pytest.raises(DataError, match=message):
            measure(a, b)
