"""Fill levels of the buckets, for an alert before the store is full."""

from collections.abc import Mapping

from components.core.runtime.progress import log
from components.core.store import open_store
from components.core.telemetry import series
from components.core.telemetry.outcome import push

JOB = "usage"


def push_usage(capacities: Mapping[str, int]) -> dict[str, int]:
    """Pushes the used and the total bytes of each bucket; returns the used bytes.

    Only current objects count; lifecycle rules remove old versions and unfinished uploads.

    Args:
        capacities: Bucket -> capacity, bytes.

    Raises:
        StoreError: A bucket cannot be listed.
    """
    used = {name: sum(entry.size_bytes for entry in open_store(f"s3://{name}").list()) for name in capacities}
    values = [(series.BUCKET_BYTES, float(bytes_), {"bucket": name}) for name, bytes_ in used.items()]
    values += [(series.BUCKET_CAPACITY, float(bytes_), {"bucket": name}) for name, bytes_ in capacities.items()]
    push(JOB, values)
    for name, bytes_ in used.items():
        log(f"bucket {name}: {bytes_ / 2**30:.2f} GiB, {bytes_ / capacities[name]:.0%}", bucket=name, used_bytes=bytes_)
    return used
