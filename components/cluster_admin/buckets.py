"""Creation of the buckets with the rules in a file; a repeated run changes what differs."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.error import MinioException, S3Error
from minio.lifecycleconfig import (
    AbortIncompleteMultipartUpload,
    Expiration,
    LifecycleConfig,
    NoncurrentVersionExpiration,
    Rule,
)
from minio.versioningconfig import VersioningConfig
from urllib3.exceptions import HTTPError

from components.core.errors import ConfigError, StoreError
from components.core.io.atomic_files import read_json
from components.core.runtime.progress import log
from components.core.store.s3 import client_of_environment

UNFINISHED_DAYS = 7


@dataclass(frozen=True)
class BucketRules:
    """The rules of a bucket.

    Attributes:
        versioning: Whether old versions of overwritten and deleted objects are kept.
        expire_days: Prefix -> days until its objects expire.
        noncurrent_days: Days until old versions expire; 0 = never.
        is_public: Whether objects can be read without credentials, for files that are public anyway.
    """

    versioning: bool = False
    expire_days: dict[str, int] = field(default_factory=dict)
    noncurrent_days: int = 0
    is_public: bool = False


def read_buckets(path: Path) -> dict[str, BucketRules]:
    """Bucket name -> rules; raises ConfigError for an unknown rule."""
    try:
        return {name: BucketRules(**rules) for name, rules in read_json(path).items()}
    except (TypeError, AttributeError) as error:
        known = ", ".join(BucketRules.__dataclass_fields__)
        raise ConfigError(f"{path} has an unknown rule ({error}): the rules are {known}.") from None


def prepare_buckets(buckets: dict[str, BucketRules]) -> None:
    """Creates missing buckets and sets the rules of all, in the store of the environment.

    Raises:
        StoreError: The store denies access or cannot be reached.
    """
    client, endpoint = client_of_environment(retries=5, timeout_s=30.0)
    for name, rules in buckets.items():
        try:
            is_new = not client.bucket_exists(name)
            if is_new:
                client.make_bucket(name)
            _set_rules(client, name, rules)
        except (MinioException, HTTPError) as error:
            reason = error.code if isinstance(error, S3Error) else type(error).__name__
            raise StoreError(
                f"Bucket {name} at {endpoint} cannot be prepared ({reason}): check the address and the identity."
            ) from None
        log(f"bucket {name}: {'created' if is_new else 'present'}, rules set")


def _set_rules(client: Minio, name: str, rules: BucketRules) -> None:
    if rules.versioning:
        client.set_bucket_versioning(name, VersioningConfig(ENABLED))
    every = Filter(prefix="")
    unfinished = AbortIncompleteMultipartUpload(days_after_initiation=UNFINISHED_DAYS)
    lifecycle = [Rule(ENABLED, rule_filter=every, rule_id="unfinished", abort_incomplete_multipart_upload=unfinished)]
    if rules.noncurrent_days:
        old = NoncurrentVersionExpiration(noncurrent_days=rules.noncurrent_days)
        lifecycle.append(Rule(ENABLED, rule_filter=every, rule_id="old", noncurrent_version_expiration=old))
    for prefix, days in rules.expire_days.items():
        rule_id = f"expire-{prefix.strip('/').replace('/', '-') or 'all'}"
        lifecycle.append(
            Rule(ENABLED, rule_filter=Filter(prefix=prefix), rule_id=rule_id, expiration=Expiration(days=days))
        )
    client.set_bucket_lifecycle(name, LifecycleConfig(lifecycle))
    if rules.is_public:
        read = {
            "Effect": "Allow",
            "Principal": {"AWS": ["*"]},
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{name}/*"],
        }
        client.set_bucket_policy(name, json.dumps({"Version": "2012-10-17", "Statement": [read]}))
