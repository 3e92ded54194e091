"""Builds container images and prints their sizes.

    python images/build.py                          # every stage's image
    python images/build.py tile pack stages --alias # three; the other names become aliases of `stages`
    python images/build.py tile --sbom sbom         # and writes sbom/tile.cdx.json, its contents
    python images/build.py tag                      # prints the tag

Names are those in the compiled pipeline, from THYGAN_REGISTRY and THYGAN_TAG; by default the tag is a digest of the
sources. BASE_IMAGE replaces the base; DOCKER_HOST is the engine, as `images/engine.sh` prints it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from components.core.errors import ConfigError
from components.core.runtime.cli import execute, new_app
from components.core.runtime.progress import log
from components.kfp_component import image

ROOT = Path(__file__).parents[1]
WITHOUT_TORCH = ("tile", "split", "pack", "report")
STAGES = (*WITHOUT_TORCH, "gan-train", "fid-select", "generate", "classifier-cv", "external-eval", "umap")
ALL_IN_ONE = "stages"
MAX_MB = 400
DOCKERFILE = "images/Dockerfile"
ENGINE = "podman" if "podman" in os.environ.get("DOCKER_HOST", "") else "docker"

app = new_app("python images/build.py", __doc__)


@app.command
def tag() -> None:
    """Prints the image tag of a pipeline that is compiled from these sources."""
    log(image(ALL_IN_ONE).rpartition(":")[2])


@app.default
def build(*targets: str, alias: bool = False, sbom: Path | None = None) -> None:
    """Builds images and prints the duration of each build and a table of sizes.

    Args:
        targets: Stages, or `stages` for one image with all; none = every stage.
        alias: Tag `stages` with the names of the stages that were not built.
        sbom: Folder for a CycloneDX list of the contents of each image.
    """
    if unknown := set(targets) - {*STAGES, ALL_IN_ONE}:
        raise ConfigError(f"There is no target {', '.join(sorted(unknown))}: {', '.join(STAGES)} or {ALL_IN_ONE}.")
    chosen = targets or STAGES
    for target in chosen:
        seconds = _build(target, "--tag", image(target), "--build-arg", f"TAG={image(target).rpartition(':')[2]}")
        log(f"{target}: built in {seconds:.0f} s as {image(target)}")
    if sbom:
        for target in chosen:
            _write_sbom(target, sbom)
    aliases = [stage for stage in STAGES if stage not in chosen] if alias else []
    for stage in aliases:
        _engine("tag", image(ALL_IN_ONE), image(stage))
    log(_table(chosen))
    large = [
        target for target in chosen if target in WITHOUT_TORCH and _size_mb(image(target)) - _base_mb(target) > MAX_MB
    ]
    if large:
        raise ConfigError(
            f"Images with more than {MAX_MB} MB above their base: {', '.join(large)}. Remove what they do not need."
        )


def _build(target: str, *options: str) -> float:
    """Builds a target; returns the duration, seconds."""
    base = ["--build-arg", f"BASE_IMAGE={os.environ['BASE_IMAGE']}"] if os.environ.get("BASE_IMAGE") else []
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    started = time.monotonic()
    _engine(
        "build",
        *("--file", DOCKERFILE, "--target", target, *base, *options),
        *("--label", f"org.opencontainers.image.revision={revision or 'unknown'}"),
        ".",
    )
    return time.monotonic() - started


def _write_sbom(target: str, folder: Path) -> None:
    sbom = folder.resolve() / "sbom.json"
    sbom.parent.mkdir(parents=True, exist_ok=True)
    seconds = _build("sbom", "--build-arg", f"TARGET={target}", "--output", f"type=local,dest={sbom.parent}")
    sbom.replace(sbom.with_name(f"{target}.cdx.json"))
    log(f"{target}: SBOM written in {seconds:.0f} s")


def _table(targets: tuple[str, ...]) -> str:
    lines = ["", "| image | MB | MB above its base |", "| --- | ---: | ---: |"]
    for target in targets:
        size = _size_mb(image(target))
        lines.append(f"| {target} | {size:.0f} | {size - _base_mb(target):.0f} |")
    return "\n".join([*lines, ""])


def _size_mb(name: str) -> float:
    return int(_engine("image", "inspect", "--format", "{{.Size}}", name)) / 1e6


def _base_mb(target: str) -> float:
    key = "org.opencontainers.image.base.name"
    name = _engine("image", "inspect", "--format", f'{{{{index .Config.Labels "{key}"}}}}', image(target))
    return _size_mb(name.strip())


def _engine(*arguments: str) -> str:
    """Standard output of the engine; raises ConfigError with its last lines if it fails."""
    try:
        process = subprocess.run([ENGINE, *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        raise ConfigError(f'{ENGINE} is not installed: install it, or eval "$(images/engine.sh up)".') from None
    if process.returncode:
        last = (process.stdout + process.stderr).strip().splitlines()[-20:]
        raise ConfigError("\n".join([f"{ENGINE} {arguments[0]} failed:", *last]))
    return process.stdout


if __name__ == "__main__":
    execute(app, sys.argv[1:])
