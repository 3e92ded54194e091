"""Identities of the object store, one per policy file, with random keys that are never stored in git.

A policy file is an AWS policy, which SeaweedFS and MinIO read as well. The file of identities has SeaweedFS's format.
"""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError, StoreError
from components.core.io.atomic_files import read_json
from components.core.protocol.lineage import KEY_VARIABLE

Identities = dict[str, Any]

STUDY_SECRET, IDENTITIES_SECRET, ROOT_SECRET = "thygan-study-key", "thygan-s3-identities", "thygan-minio-root"
IDENTITIES_FILE = "identities.json"
ROOT_USER, ROOT_PASSWORD = "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"


def draw_identities(policies: Path) -> Identities:
    """Identities with new keys, one for each policy file of a folder, named as the file.

    Raises:
        ConfigError: The folder has no policies.
        DataError: A policy file cannot be read.
    """
    files = sorted(policies.glob("*.json"))
    if not files:
        raise ConfigError(f"{policies} has no policy files: give manifests/base/store/policies.")
    return {
        "identities": [
            {
                "name": file.stem,
                "credentials": [
                    {"accessKey": f"{file.stem}-{secrets.token_hex(6)}", "secretKey": secrets.token_hex(24)}
                ],
                "policyNames": [file.stem],
            }
            for file in files
        ],
        "policies": [{"name": file.stem, "content": json.dumps(read_json(file))} for file in files],
    }


def build_secrets(identities: Identities, namespace: str) -> dict[str, Any]:
    """The identities as a List of Kubernetes Secrets, with a study key and a root for MinIO.

    Each identity has its own Secret `thygan-s3-NAME`, so that a pod gets only its keys.
    """
    values: dict[str, Mapping[str, str]] = {
        f"thygan-s3-{one['name']}": {
            "AWS_ACCESS_KEY_ID": one["credentials"][0]["accessKey"],
            "AWS_SECRET_ACCESS_KEY": one["credentials"][0]["secretKey"],
        }
        for one in identities["identities"]
    }
    values[IDENTITIES_SECRET] = {IDENTITIES_FILE: json.dumps(identities)}
    values[STUDY_SECRET] = {KEY_VARIABLE: secrets.token_hex(32)}
    values[ROOT_SECRET] = {ROOT_USER: "root", ROOT_PASSWORD: secrets.token_hex(24)}
    labels = {"app.kubernetes.io/part-of": "thygan"}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "type": "Opaque",
            "stringData": dict(data),
        }
        for name, data in values.items()
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def register_in_minio(identities: Identities, endpoint: str, user: str, password: str) -> None:
    """Registers the identities and their policies in a MinIO server; existing ones are replaced.

    Args:
        identities: Identities from `draw_identities`.
        endpoint: `http://host:port`.
        user: Name of the root user.
        password: Password of the root user.

    Raises:
        StoreError: The server denies access or is not MinIO.
    """
    from minio import MinioAdmin
    from minio.credentials.providers import StaticProvider
    from minio.error import MinioAdminException
    from urllib3.exceptions import HTTPError

    scheme, _, host = endpoint.rpartition("://")
    admin = MinioAdmin(endpoint=host, credentials=StaticProvider(user, password), secure=scheme == "https")
    try:
        for policy in identities["policies"]:
            admin.policy_add(policy["name"], policy=json.loads(policy["content"]))
        for one in identities["identities"]:
            key = one["credentials"][0]
            admin.user_add(key["accessKey"], key["secretKey"])
            for name in one["policyNames"]:
                admin.policy_set(name, user=key["accessKey"])
    except (MinioAdminException, HTTPError) as error:
        raise StoreError(
            f"MinIO at {endpoint} did not accept the identities ({error}): check its root credentials."
        ) from None
