"""A bucket as a store, through the minio client.

Address and credentials come from environment variables with the names that the tools of AWS and KFP use:

    THYGAN_S3_ENDPOINT, else AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL    http://host:port; unset = AWS
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN            or the file AWS_SHARED_CREDENTIALS_FILE,
                                                                           or the role of a pod
    AWS_REGION, else AWS_DEFAULT_REGION

Objects carry their sha256 as metadata. The remains of a killed upload are invisible, and the bucket's lifecycle rule
for unfinished multipart uploads removes them.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio.commonconfig import ComposeSource
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError

from components.core.errors import ConfigError, DataError, StoreAwayError, StoreError
from components.core.io.atomic_files import atomic_write
from components.core.store.base import Entry, SmallObject, Status, validate_name, verify_sha256

Answer = TypeVar("Answer")

ENDPOINTS = ("THYGAN_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_AWS = "https://s3.amazonaws.com"
_PART_BYTES, _CHUNK_BYTES = 16 << 20, 1 << 20
_CONNECTIONS = 8  # kept open, for concurrent reads
_SKEW_S = 900.0  # beyond it S3 rejects a signature
_BACKOFF_S, _DOWNLOAD_PAUSES_S = 0.5, (0.5, 1.0, 2.0)
_RETRY_LATER = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout")
_CREDENTIALS = (
    "the store denies access with these credentials ({code}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
    "their permissions"
)
_SENTENCES = {
    "NoSuchBucket": "there is no such bucket: create it or correct the address",
    "NoSuchKey": "it does not exist",
    "RequestTimeTooSkewed": "the clocks of this machine and the store differ by more than 15 minutes: set them",
    **dict.fromkeys(("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"), _CREDENTIALS),
    **dict.fromkeys(("XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"), "the store is full ({code})"),
}


def client_of_environment(retries: int, timeout_s: float) -> tuple[Minio, str]:
    """A client for the endpoint and the credentials in the environment, and the endpoint's address.

    Raises:
        ConfigError: The endpoint is not an http address.
    """
    address = _first(ENDPOINTS)
    endpoint = urlsplit(address or _AWS)
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or "@" in endpoint.netloc or endpoint.query:
        raise ConfigError(f"The S3 endpoint in {' or '.join(ENDPOINTS)} is not an address: write http://host:port.")
    providers = [EnvAWSProvider(), AWSConfigProvider(), *([IamAwsProvider()] if _first(_ROLES) else [])]
    http = urllib3.PoolManager(
        maxsize=_CONNECTIONS,
        timeout=urllib3.Timeout(timeout_s),
        retries=urllib3.Retry(retries, backoff_factor=_BACKOFF_S, status_forcelist=(500, 502, 503, 504)),
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )
    client = Minio(
        endpoint.netloc,
        secure=endpoint.scheme == "https",
        region=_first(REGIONS) or ("us-east-1" if address else None),
        credentials=ChainedProvider(providers),
        http_client=http,
    )
    return client, f"{endpoint.scheme}://{endpoint.netloc}"


class S3Store:
    """Objects below a prefix of a bucket."""

    def __init__(self, client: Minio, endpoint: str, bucket: str, prefix: str) -> None:
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client, self._endpoint, self._bucket = client, endpoint, bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def put(self, path: Path, name: str) -> None:
        """Uploads a file, a large one in parts; S3 shows an object only when it is complete."""
        key = self._key(name)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
            with self._describe_errors("written", name):
                self._client.put_object(
                    self._bucket, key, file, size, metadata={"sha256": sha256}, part_size=_PART_BYTES
                )
                arrived = self._client.stat_object(self._bucket, key).size
        if arrived != size:
            raise StoreError(f"{self.uri}/{name} arrived with {arrived} of {size} bytes: use another store.")

    def get(self, name: str, path: Path) -> None:
        """Downloads an object; the request is repeated for a truncated or damaged answer."""
        with self._describe_errors("read", name):
            _retry(lambda: self._download(name, path))

    def read(self, name: str) -> SmallObject | None:
        """A small object; its version is its ETag, its age that of the clock in the answer."""
        with self._describe_errors("read", name), _suppress_codes("NoSuchKey"):
            response = self._client.get_object(self._bucket, self._key(name))
            with closing(response):
                return SmallObject(response.data, _etag(response.headers), _age_s(response.headers))
        return None

    def write(self, name: str, data: bytes, *, replaces: str | None = None) -> str | None:
        """Writes a small object, if a condition (If-None-Match, If-Match) holds."""
        headers: dict[str, Any] = {}
        if replaces is not None:
            headers = {"If-Match": f'"{replaces}"'} if replaces else {"If-None-Match": "*"}
        unmet = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey") if headers else ()
        with self._describe_errors("written", name), _suppress_codes(*unmet):
            # No public method of the client takes conditions; this is the request that they send.
            response = self._client._execute("PUT", self._bucket, self._key(name), body=data, headers=headers)
            return _etag(response.headers)
        return None

    def list(self, prefix: str = "") -> list[Entry]:
        """All objects below the store's prefix."""
        with self._describe_errors("listed"):
            objects = list(self._client.list_objects(self._bucket, self._prefix + prefix, recursive=True))
        entries = [
            Entry(item.object_name.removeprefix(self._prefix), item.size or 0, item.etag or "")
            for item in objects
            if item.object_name
        ]
        return sorted(entries, key=lambda entry: entry.name)

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""
        return self.status(name) is not None

    def status(self, name: str) -> Status | None:
        """Metadata of an object; its version is its ETag."""
        with self._describe_errors("read", name), _suppress_codes("NoSuchKey"):
            stat = self._client.stat_object(self._bucket, self._key(name))
            headers = stat.metadata or {}
            return Status(stat.size or 0, stat.etag or "", headers.get("x-amz-meta-sha256", ""), _age_s(headers))
        return None

    def read_range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        """A range of an object (Range, If-Match); the request is repeated for a truncated answer."""
        with self._describe_errors("read", name), _suppress_codes("PreconditionFailed"):
            return _retry(lambda: self._range(name, start, length, version))
        return None

    def renew(self, name: str) -> None:
        """Has the store copy an object onto itself, metadata included."""
        if (status := self.status(name)) is None:
            raise StoreError(f"{self.uri}/{name} cannot be renewed: it does not exist.")
        with self._describe_errors("renewed", name):
            source = ComposeSource(self._bucket, self._key(name), match_etag=status.version)
            self._client.compose_object(self._bucket, self._key(name), [source], metadata={"sha256": status.sha256})

    def delete(self, name: str) -> None:
        """Removes an object."""
        with self._describe_errors("deleted", name):
            self._client.remove_object(self._bucket, self._key(name))

    def _key(self, name: str) -> str:
        return self._prefix + validate_name(name)

    def _range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        pinned: dict[str, Any] = {"If-Match": f'"{version}"'}
        response = self._client.get_object(self._bucket, self._key(name), start, length, request_headers=pinned)
        with closing(response):
            data = bytes(response.data)
            if _etag(response.headers) != version:  # the store ignores the condition
                return None
        if len(data) != length:
            raise ProtocolError(f"{len(data)} of {length} bytes arrived")
        return data

    def _download(self, name: str, path: Path) -> None:
        response = self._client.get_object(self._bucket, self._key(name))
        with closing(response), atomic_write(path) as partial:
            with partial.open("wb") as file:
                for chunk in response.stream(_CHUNK_BYTES):  # raises for fewer bytes than announced
                    file.write(chunk)
            verify_sha256(partial, response.headers.get("x-amz-meta-sha256"), f"{self.uri}/{name}")

    @contextmanager
    def _describe_errors(self, action: str, name: str = "") -> Iterator[None]:
        """Turns errors of the client into sentences without anything that could hold a secret."""
        where = f"{self.uri}/{name}" if name else self.uri
        try:
            yield
        except S3Error as error:
            code = "RequestTimeTooSkewed" if _is_clock_skew(error) else error.code
            sentence = _SENTENCES.get(code or "", "the store answers {code}").format(code=code)
            kind = StoreAwayError if error.code in _RETRY_LATER else StoreError
            raise kind(f"{where} cannot be {action}: {sentence}.") from None
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            raise StoreAwayError(
                f"{where} cannot be {action}: the store at {self._endpoint} does not answer as it should "
                f"({str(reason).rpartition(': ')[2]}). Check the store, the network and {ENDPOINTS[0]}."
            ) from None
        except (MinioException, ParseError):
            raise StoreError(
                f"{where} cannot be {action}: the server at {self._endpoint} is not an S3 store. Set {ENDPOINTS[0]}."
            ) from None
        except OSError as error:
            raise StoreError(f"{where} cannot be {action} ({error.strerror}): check the disk.") from None
        except ValueError as error:
            raise StoreError(f"{where} cannot be {action}: {_describe_value_error(str(error))}.") from None


def _retry(request: Callable[[], Answer]) -> Answer:
    """The result of `request`, which is repeated for a truncated or damaged answer."""
    for pause_s in _DOWNLOAD_PAUSES_S:
        with suppress(ProtocolError, ReadTimeoutError, DataError):
            return request()
        time.sleep(pause_s)
    return request()


@contextmanager
def _suppress_codes(*codes: str) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code not in codes:
            raise


def _is_clock_skew(error: S3Error) -> bool:
    """Whether access is denied because of clock skew, which answers to HEAD do not say."""
    answer_date = error.response.headers.get("date") if error.response is not None else None
    if error.code != "AccessDenied" or not answer_date:
        return False
    return abs(parsedate_to_datetime(answer_date).timestamp() - time.time()) > _SKEW_S


def _describe_value_error(reason: str) -> str:
    if "providers" in reason:
        return "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return reason.rstrip(".")


def _etag(headers: Mapping[str, str]) -> str:
    return headers["etag"].strip('"')


def _age_s(headers: Mapping[str, str]) -> float:
    """Least age of an object in seconds, from dates in whole seconds; 0 = the answer has no dates."""
    written_at, answered_at = headers.get("last-modified"), headers.get("date")
    if not (written_at and answered_at):
        return 0.0
    age = parsedate_to_datetime(answered_at) - parsedate_to_datetime(written_at)
    return max(0.0, age.total_seconds() - 1)


def _first(variables: tuple[str, ...]) -> str:
    return next((value for name in variables if (value := os.environ.get(name))), "")
