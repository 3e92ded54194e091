"""The jobs of manifests/base/store, from a shell: python -m components.cluster_admin --help."""

import json
import os
import re
from pathlib import Path

from components.cluster_admin.identities import ROOT_PASSWORD, ROOT_USER, build_secrets, draw_identities
from components.core.errors import ConfigError
from components.core.runtime.cli import execute, new_app
from components.core.runtime.progress import log

_POLICIES = Path("manifests/base/store/policies")
_UNITS = {"": 1, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "G": 10**9, "T": 10**12}

app = new_app("python -m components.cluster_admin", "Keeps a cluster's object store in order.")


@app.command
def secrets(policies: Path = _POLICIES, *, namespace: str = "thygan") -> None:
    """Prints Kubernetes Secrets with new keys for every identity; pipe it into `kubectl create -f -`, once.

    Args:
        policies: Folder with a policy a file.
        namespace: Where the Secrets go.
    """
    print(json.dumps(build_secrets(draw_identities(policies), namespace), indent=1))


@app.command
def buckets(plan: Path) -> None:
    """Makes the buckets and sets their rules; again, it changes what differs.

    Args:
        plan: JSON file, as manifests/base/store/buckets.json.
    """
    from components.cluster_admin.buckets import prepare_buckets, read_buckets

    prepare_buckets(read_buckets(plan))


@app.command
def minio(identities: Path, *, endpoint: str) -> None:
    """Makes the identities known to a MinIO server, whose root is in MINIO_ROOT_USER and MINIO_ROOT_PASSWORD.

    Args:
        identities: The file of the Secret thygan-s3-identities.
        endpoint: The server, http://host:port.
    """
    from components.cluster_admin.identities import register_in_minio
    from components.core.io.atomic_files import read_json

    if not (user := os.environ.get(ROOT_USER)) or not (password := os.environ.get(ROOT_PASSWORD)):
        raise ConfigError(f"Set {ROOT_USER} and {ROOT_PASSWORD} to the server's root credentials.")
    given = read_json(identities)
    register_in_minio(given, endpoint, user, password)
    log(f"{len(given['identities'])} identities are known to {endpoint}")


@app.command
def weights(bucket: str = "s3://thygan-weights") -> None:
    """Fetches every registered network's weights, verified, and mirrors them, so that no stage needs the internet.

    Args:
        bucket: Where they go.
    """
    from components.core.features.registry import REGISTRY
    from components.core.features.weights import find_weights
    from components.core.store import open_store

    store = open_store(bucket)
    for name, entry in REGISTRY.items():
        if store.exists(entry.file):
            log(f"{entry.file}: is there")
            continue
        store.put(find_weights(name), entry.file)
        log(f"{entry.file}: mirrored")


@app.command
def usage(*capacities: str) -> None:
    """Tells the Pushgateway of THYGAN_PUSHGATEWAY how full the buckets are.

    Args:
        capacities: BUCKET=SIZE, for example thygan-data=2Ti.
    """
    from components.cluster_admin.usage import push_usage

    push_usage(dict(_capacity(one) for one in capacities))


def _capacity(pair: str) -> tuple[str, int]:
    found = re.fullmatch(r"([a-z0-9.-]+)=(\d+)(\w*)", pair)
    if not found or found[3] not in _UNITS or not int(found[2]):
        raise ConfigError(f"{pair}: write it as BUCKET=SIZE, for example thygan-data=2Ti.")
    return found[1], int(found[2]) * _UNITS[found[3]]


if __name__ == "__main__":
    execute(app)
