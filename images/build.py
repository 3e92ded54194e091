"""Builds images and prints how large they are.

    python images/build.py                          # every stage's image
    python images/build.py tile pack stages --alias # three; the other stages' names are further names of `stages`
    python images/build.py tile --sbom sbom         # and writes sbom/tile.cdx.json: what is in it
    python images/build.py tag                      # prints the tag

Names are those that the compiled pipeline asks for: THYGAN_REGISTRY, THYGAN_TAG, else a digest of what enters the
images. BASE_IMAGE replaces the base; DOCKER_HOST says which engine, as `images/engine.sh` prints it.
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
MOST_MB = 400
DOCKERFILE = "images/Dockerfile"
ENGINE = "podman" if "podman" in os.environ.get("DOCKER_HOST", "") else "docker"

app = new_app("python images/build.py", __doc__)


@app.command
def tag() -> None:
    """Prints the tag that a pipeline compiled from these sources asks for."""
    log(image(ALL_IN_ONE).rpartition(":")[2])


@app.default
def build(*targets: str, alias: bool = False, sbom: Path | None = None) -> None:
    """Builds images, says how long each took, prints a table of their sizes.

    Args:
        targets: Stages, or `stages` for all in one image; none = every stage.
        alias: Give `stages` the names of the stages that were not built.
        sbom: Folder for a list of each image's contents, CycloneDX.
    """
    if unknown := set(targets) - {*STAGES, ALL_IN_ONE}:
        raise ConfigError(f"There is no target {', '.join(sorted(unknown))}: {', '.join(STAGES)} or {ALL_IN_ONE}.")
    built = targets or STAGES
    for target in built:
        seconds = _build(target, "--tag", image(target), "--build-arg", f"TAG={image(target).rpartition(':')[2]}")
        log(f"{target}: built in {seconds:.0f} s as {image(target)}")
    if sbom:
        for target in built:
            _list(target, sbom)
    aliases = [stage for stage in STAGES if stage not in built] if alias else []
    for stage in aliases:
        _engine("tag", image(ALL_IN_ONE), image(stage))
    log(_table(built))
    large = [one for one in built if one in WITHOUT_TORCH and _size_mb(image(one)) - _base_mb(one) > MOST_MB]
    if large:
        raise ConfigError(f"More than {MOST_MB} MB above the base: {', '.join(large)}.")


def _build(target: str, *options: str) -> float:
    """Seconds that it took."""
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


def _list(target: str, folder: Path) -> None:
    made = folder.resolve() / "sbom.json"
    made.parent.mkdir(parents=True, exist_ok=True)
    seconds = _build("sbom", "--build-arg", f"TARGET={target}", "--output", f"type=local,dest={made.parent}")
    made.replace(made.with_name(f"{target}.cdx.json"))
    log(f"{target}: contents listed in {seconds:.0f} s")


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
    """The engine's answer; its last words where it fails."""
    try:
        done = subprocess.run([ENGINE, *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        raise ConfigError(f'There is no {ENGINE} here: install it, or eval "$(images/engine.sh up)".') from None
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-20:]
        raise ConfigError("\n".join([f"{ENGINE} {arguments[0]} failed:", *last]))
    return done.stdout


if __name__ == "__main__":
    execute(app, sys.argv[1:])
