"""The `thygan` command."""

from pathlib import Path

from components.core.io.atomic_files import write_text
from components.core.runtime.cli import execute, new_app
from components.core.runtime.progress import log
from pipelines.cli.artifacts import artifacts
from pipelines.cli.data import check
from pipelines.cli.doctor import doctor
from pipelines.cli.export import export, import_official
from pipelines.cli.generate import generate
from pipelines.cli.predictions import predictions
from pipelines.cli.run import run_command
from pipelines.cli.score import score
from pipelines.cli.submit import submit_command
from pipelines.cli.weights import app as weights
from pipelines.cluster.schedules import schedule

app = new_app(
    "thygan", "Do GAN-made tiles make a classifier trained on few patients hold up on another hospital's slides?"
)
data = new_app("data", "Look at data before anything runs; make demo data.")
app.command(data)
app.command(run_command(), name="run")
app.command(score)
app.command(submit_command(), name="submit")
app.command(schedule)
app.command(artifacts)
app.command(doctor)
app.command(export)
app.command(import_official, name="import")
app.command(predictions)
app.command(generate)
app.command(weights)
data.command(check)


@app.command(name="compile")
def compile_study(out: Path = Path("pipelines/compiled")) -> None:
    """Writes the IR that is uploaded in the KFP UI.

    Args:
        out: Folder for study.yaml, and for published.yaml: Thy-GAN's protocol, one generator for all folds.
    """
    from pipelines.study.compile import executor_tasks, published_yaml, study_yaml

    target = out / "study.yaml"
    write_text(target, study_yaml())
    write_text(out / "published.yaml", published_yaml())
    tasks = [sum(executor_tasks(arms, 5).values()) for arms in (["bi100"], ["bi100", "mc100"])]
    log(f"compiled: {target}; a run with five folds has {tasks[0]} tasks, with generators of both schemes {tasks[1]}")


@data.command
def phantom(out: Path, *, seed: int = 0, patients: int = 24, external_patients: int = 16) -> None:
    """Makes procedural H&E-like fields of two hospitals: demo data, no evidence.

    Args:
        out: Folder to make; it must not exist.
        seed: Of every draw.
        patients: Of the study's own hospital.
        external_patients: Of the other hospital.
    """
    from pipelines.demo import write_study

    write_study(out, seed=seed, patients=patients, external_patients=external_patients)
    log(f"demo data: {out}")


def main() -> None:
    """Entry point."""
    execute(app)
