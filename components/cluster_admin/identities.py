"""Who may do what in the object store: one identity a policy file, with keys that are drawn and never stored in git.

A policy file is an AWS policy, which SeaweedFS and MinIO read as well. The identities' file is SeaweedFS's own form.
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
    """An identity with new keys for each policy file of a folder; the file's name is the identity's.

    Raises:
        ConfigError: The folder has no policies.
        DataError: One cannot be read.
    """
    files = sorted(policies.glob("*.json"))
    if not files:
        raise ConfigError(f"{policies} holds no policy files: give manifests/base/store/policies.")
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


def build_secrets(drawn: Identities, namespace: str) -> dict[str, Any]:
    """The identities as a List of Kubernetes Secrets, with a study key and a root for MinIO.

    Each identity has a Secret of its own, `thygan-s3-NAME`, so that a pod is given no other's keys.
    """
    values: dict[str, Mapping[str, str]] = {
        f"thygan-s3-{one['name']}": {
            "AWS_ACCESS_KEY_ID": one["credentials"][0]["accessKey"],
            "AWS_SECRET_ACCESS_KEY": one["credentials"][0]["secretKey"],
        }
        for one in drawn["identities"]
    }
    values[IDENTITIES_SECRET] = {IDENTITIES_FILE: json.dumps(drawn)}
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


def register_in_minio(drawn: Identities, endpoint: str, user: str, password: str) -> None:
    """Makes the identities and their policies known to a MinIO server; what is there already is replaced.

    Args:
        drawn: Identities of `draw_identities`.
        endpoint: `http://host:port`.
        user: Root user.
        password: Its password.

    Raises:
        StoreError: The server refuses, or is none.
    """
    from minio import MinioAdmin
    from minio.credentials import StaticProvider
    from minio.error import MinioAdminException
    from urllib3.exceptions import HTTPError

    scheme, _, host = endpoint.rpartition("://")
    admin = MinioAdmin(endpoint=host, credentials=StaticProvider(user, password), secure=scheme == "https")
    try:
        for policy in drawn["policies"]:
            admin.policy_add(policy["name"], policy=json.loads(policy["content"]))
        for one in drawn["identities"]:
            key = one["credentials"][0]
            admin.user_add(key["accessKey"], key["secretKey"])
            for name in one["policyNames"]:
                admin.policy_set(name, user=key["accessKey"])
    except (MinioAdminException, HTTPError) as error:
        raise StoreError(f"MinIO at {endpoint} takes no identities ({error}): check its root credentials.") from None
