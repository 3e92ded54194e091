"""Procedural H&E-like images of two hospitals, for the demo and the tests: synthetic, no evidence."""

from pipelines.demo.diagnoses import DIAGNOSES, Diagnosis, PatientEffect
from pipelines.demo.field import render_field
from pipelines.demo.stain import HOSPITAL_A, HOSPITAL_B, HOSPITALS, Hospital
from pipelines.demo.study import SOFTWARE, write_study

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
