import pytest

from components.core.errors import ConfigError
from components.tile.patient_patterns import find_patterns, patient_finder


@pytest.mark.parametrize(
    ("pattern", "name", "patient"),
    [
        ("tharun-thompson", "100a.jpeg", "100"),
        ("tharun-thompson", "7j.jpg", "7"),
        ("tharun-thompson", "7.jpeg", ""),
        ("tcga", "TCGA-CR-7395-01A-01-TS1.svs", "TCGA-CR-7395"),
        ("tcga", "TCGA-DJ-A4UQ_14.jpeg", "TCGA-DJ-A4UQ"),
        ("tcga", "TCGA-CR-73951.svs", ""),
        ("nikiforov", "NIK-A008_0.jpeg", "A008"),
        ("tcga, Nikiforov", "NIK-A008_12.jpeg", "A008"),
        (r"^(?P<patient>[^_]+)_", "S12_3.png", "S12"),
        (r"^(?P<patient>[^_]+)_", "unknown_3.png", ""),
        (r"^(x|(?P<patient>y))\.png", "x.png", ""),
        ("", "100a.jpeg", ""),
    ],
)
def test_patients_of_names(pattern, name, patient):
    assert patient_finder(pattern)(name) == patient


def test_pattern_that_fits_is_found():
    assert find_patterns(["1a.jpeg", "1b.jpeg", "20c.jpeg"]) == "tharun-thompson"
    assert find_patterns(["TCGA-BJ-A192_0.jpeg", "NIK-A008_0.jpeg"]) == "tcga,nikiforov"
    assert find_patterns(["TCGA-BJ-A192_0.jpeg", "slide 4.svs"]) == ""
    assert find_patterns([]) == ""


@pytest.mark.parametrize(
    ("pattern", "message"), [("tgca", "no group `patient`.*tcga"), ("(", "not a regular expression.*tcga")]
)
def test_other_patterns_are_refused(pattern, message):
    with pytest.raises(ConfigError, match=message):
        patient_finder(pattern)
