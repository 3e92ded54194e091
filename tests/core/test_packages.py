"""A package of core alone imports nothing heavy: a module that needs a library is imported by whoever needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

import components.core

HEAVY = {"torch", "torchvision", "pandas", "statsmodels", "sklearn", "minio", "prometheus_client"}
CORE = Path(components.core.__file__).parent
PACKAGES = sorted(
    path.parent.relative_to(CORE.parents[1]).as_posix().replace("/", ".") for path in CORE.rglob("__init__.py")
)


def imported_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_alone_imports_nothing_heavy(name: str) -> None:
    assert not HEAVY & imported_after(f"import {name}")


def test_fidelity_needs_numpy_and_scipy_alone() -> None:
    names = "frechet_distance, kernel_distance, precision_recall"
    assert not HEAVY & imported_after(f"from components.core.fidelity import {names}")


def test_the_public_statistics_come_from_the_package_at_first_use() -> None:
    from components.core.statistics import compare_arms, patient_metrics, patient_predictions
    from components.core.statistics.metrics import patient_metrics as metrics
    from components.core.statistics.patients import patient_predictions as predictions
    from components.core.statistics.verdict import compare_arms as compare

    assert (compare_arms, patient_metrics, patient_predictions) == (compare, metrics, predictions)
    with pytest.raises(ImportError):
        from components.core.statistics import frechet_distance  # noqa: F401


def test_presets_are_read_without_torch() -> None:
    """What a study costs depends on them, and is asked for where no stage is installed."""
    assert "torch" not in imported_after("import components.core.stylegan2.presets")
