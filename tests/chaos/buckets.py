"""What a run has in buckets: images to be cut, checkpoints, features, archives by reference, weights, kept results."""

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from carried import FILE
from chain import ENVIRONMENT, Command, content
from processes import run_to_end
from real_s3 import BUCKET

from components.core.data.archive_reference import ARCHIVES_VARIABLE, ArchiveReference
from components.core.data.content_hash import content_hash
from components.core.io.atomic_files import file_sha256, write_json
from components.core.store.s3 import S3Store

CARRIED = Path(__file__).with_name("carried.py")


@dataclass(frozen=True)
class Use:
    """A stage that has something in a bucket.

    Attributes:
        command: Its command.
        whole: What it writes undisturbed, `content`'s.
        seconds: That it then takes.
        options: Say where the bucket is.
        environment: Says it, too.
        asks_at_once: Whether what may fail has begun with the process.
    """

    command: Command
    whole: dict[str, str]
    seconds: float
    options: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    asks_at_once: bool = False


class Bucket:
    """A fresh prefix, named as if it lay in `bucket`, of a server that is well while it is filled."""

    def __init__(self, s3: Any, bucket: str) -> None:
        prefix = secrets.token_hex(4)
        self.put = S3Store(s3.client(), f"http://{s3.host}", BUCKET, prefix).put
        self.uri, self.real_uri = (f"s3://{name}/{prefix}" for name in (bucket, BUCKET))
        self.well = {
            **ENVIRONMENT, "AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret,
            "THYGAN_S3_ENDPOINT": f"http://{s3.host}",
        }  # fmt: skip


def images(study: Any, stage: str, bucket: Bucket, folder: Path) -> Use:
    """Slides' images, which `tile` reads where they lie."""
    top = study.folder / "data/hospital-a"
    for path in sorted(top.rglob("*")):
        if path.is_file() and path.suffix in (".png", ".csv"):
            bucket.put(path, f"hospital-a/{path.relative_to(top).as_posix()}")
    return _use(study, stage, {"sources": [f"{bucket.uri}/hospital-a"]})


def checkpoints(study: Any, stage: str, bucket: Bucket, folder: Path) -> Use:
    """The state of a training, kept all the time."""
    return _use(study, stage, {"checkpoint_uri": bucket.uri, "checkpoint_minutes": 0})


def features(study: Any, stage: str, bucket: Bucket, folder: Path) -> Use:
    """Features that an earlier run kept."""
    if bucket.uri == bucket.real_uri:
        words = study.commands[stage].words(folder / "before", cache_uri=bucket.uri)
        run_to_end(folder / "before", stage, words, **bucket.well)
    return _use(study, stage, {"cache_uri": bucket.uri}, asks_at_once=True)


def archives(study: Any, stage: str, bucket: Bucket, folder: Path) -> Use:
    """Image archives, for which small files stand."""

    def referred(value: Any) -> Any:
        if isinstance(value, list):
            return [referred(one) for one in value]
        if not isinstance(value, Path) or value.suffix != ".zip":
            return value
        sha256 = file_sha256(value)
        bucket.put(value, f"{sha256}.zip")
        reference = ArchiveReference(f"{bucket.uri}/{sha256}.zip", value.stat().st_size, sha256, content_hash(value))
        write_json(folder / f"{sha256}.json", asdict(reference))
        return folder / f"{sha256}.json"

    options = {key: referred(value) for key, value in study.commands[stage].inputs.items()}
    return _use(study, stage, options, {ARCHIVES_VARIABLE: bucket.uri})


def carried(study: Any, what: str, bucket: Bucket, folder: Path) -> Use:
    """Weights of a network, or kept results."""
    source = study.folder / "tile/tiles.zip"
    bucket.put(source, FILE)
    command = Command(str(CARRIED), {"what": what, "source": source}, {"made": "made"})
    well = {"uri": bucket.real_uri, "made": folder / "well/made"}
    words = command.words(folder / "well", **well)
    seconds = run_to_end(folder / "well", command.stage, words, **bucket.well, XDG_CACHE_HOME=str(folder / "first"))
    options, environment = {"uri": bucket.uri}, {"XDG_CACHE_HOME": str(folder / "cache")}
    return Use(command, content(folder / "well", command), seconds, options, environment, asks_at_once=True)


def _use(
    study: Any, stage: str, options: dict[str, Any], environment: dict[str, str] | None = None, **more: Any
) -> Use:
    command = study.commands[stage]
    whole = content(study.folder / stage, command)
    return Use(command, whole, study.seconds[stage], options, environment or {}, **more)


USES: dict[str, Callable[[Any, str, Bucket, Path], Use]] = {
    "tile": images,
    "gan_train": checkpoints,
    "fid_select": features,
    "classifier_cv": checkpoints,
    **dict.fromkeys(("pack", "generate", "external_eval", "umap", "report"), archives),
    **dict.fromkeys(("weights", "kept results"), carried),
}


def use_of(study: Any, stage: str, bucket: Bucket, folder: Path) -> Use:
    """What is in the bucket now, and how the stage is told."""
    study.upto(stage if stage in study.commands else "tile")
    return USES[stage](study, stage, bucket, folder)
