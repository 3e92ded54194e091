"""Procedural H&E-like images of two hospitals, for the demo and the tests: synthetic, never evidence."""

from components.core.phantom.diagnoses import DIAGNOSES, Diagnosis, PatientEffect
from components.core.phantom.field import render_field
from components.core.phantom.stain import HOSPITAL_A, HOSPITAL_B, HOSPITALS, Hospital
from components.core.phantom.study import SOFTWARE, write_study

__all__ = [
    "DIAGNOSES",
    "HOSPITALS",
    "HOSPITAL_A",
    "HOSPITAL_B",
    "SOFTWARE",
    "Diagnosis",
    "Hospital",
    "PatientEffect",
    "render_field",
    "write_study",
]
