"""What tests of the manifests share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from overlays import OVERLAYS, checker, rendered


@pytest.fixture(params=OVERLAYS)
def objects(request):
    """Every object of an overlay."""
    return rendered(request.param)


@pytest.fixture
def of_overlay():
    """`of_overlay(name)`: its objects."""
    return rendered


@pytest.fixture
def check():
    """manifests/check.py."""
    return checker
