"""A bucket as a store, through the minio client.

The environment says where and who, in the names that AWS's own tools and KFP use:

    THYGAN_S3_ENDPOINT, else AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL    http://host:port; none = AWS itself
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN            or a file, AWS_SHARED_CREDENTIALS_FILE,
                                                                           or a pod's role
    AWS_REGION, else AWS_DEFAULT_REGION

Objects carry their sha256 as metadata. What an upload that was killed left behind is invisible, and removed by the
bucket's lifecycle rule for unfinished multipart uploads.
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
from minio.credentials import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError

from components.core.errors import ConfigError, DataError, StoreAwayError, StoreError
from components.core.io.atomic_files import atomic_write
from components.core.store.base import Entry, SmallObject, Status, validate_name, verify

Answer = TypeVar("Answer")

ENDPOINTS = ("THYGAN_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_AWS = "https://s3.amazonaws.com"
_PART_BYTES, _CHUNK_BYTES = 16 << 20, 1 << 20
_CONNECTIONS = 8  # that are kept open, for threads that read at once
_SKEW_S = 900.0  # from which on S3 refuses a signature
_BACKOFF_S, _DOWNLOAD_PAUSES_S = 0.5, (0.5, 1.0, 2.0)
_LATER = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout")
_CREDENTIALS = (
    "the store refuses these credentials ({code}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do"
)
_SENTENCES = {
    "NoSuchBucket": "there is no such bucket, so create it or correct the address",
    "NoSuchKey": "it is not there",
    "RequestTimeTooSkewed": "this machine's clock is too far from the store's, so set it",
    **dict.fromkeys(("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"), _CREDENTIALS),
    **dict.fromkeys(("XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"), "the store is full ({code})"),
}


def client_of_environment(retries: int, timeout_s: float) -> tuple[Minio, str]:
    """A client for the endpoint and the credentials that the environment names, and the endpoint's address.

    Raises:
        ConfigError: The endpoint is no address.
    """
    given = _first(ENDPOINTS)
    endpoint = urlsplit(given or _AWS)
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or "@" in endpoint.netloc or endpoint.query:
        raise ConfigError(f"The S3 endpoint in {' or '.join(ENDPOINTS)} is no address: write http://host:port.")
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
        region=_first(REGIONS) or ("us-east-1" if given else None),
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
        """Uploads a file, a large one in parts; S3 shows it only when all of it is there."""
        key = self._key(name)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
            with self._explained("written", name):
                self._client.put_object(
                    self._bucket, key, file, size, metadata={"sha256": sha256}, part_size=_PART_BYTES
                )
                arrived = self._client.stat_object(self._bucket, key).size
        if arrived != size:
            raise StoreError(f"{self.uri}/{name} arrived with {arrived} of {size} bytes: do not rely on this store.")

    def get(self, name: str, path: Path) -> None:
        """Downloads an object; one that is cut short or arrives torn is asked for again."""
        with self._explained("read", name):
            _again(lambda: self._download(name, path))

    def read(self, name: str) -> SmallObject | None:
        """A small object; its version is its ETag, its age is told by the clock that the answer carries."""
        with self._explained("read", name), _allowed("NoSuchKey"):
            response = self._client.get_object(self._bucket, self._key(name))
            with closing(response):
                return SmallObject(response.data, _etag(response.headers), _age_s(response.headers))
        return None

    def write(self, name: str, data: bytes, *, replaces: str | None = None) -> str | None:
        """Writes a small object, if a condition holds (If-None-Match, If-Match)."""
        headers: dict[str, Any] = {}
        if replaces is not None:
            headers = {"If-Match": f'"{replaces}"'} if replaces else {"If-None-Match": "*"}
        unmet = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey") if headers else ()
        with self._explained("written", name), _allowed(*unmet):
            # The client's public methods know no conditions; this is the request beneath them.
            response = self._client._execute("PUT", self._bucket, self._key(name), body=data, headers=headers)
            return _etag(response.headers)
        return None

    def list(self, prefix: str = "") -> list[Entry]:
        """All objects below the store's prefix."""
        with self._explained("listed"):
            found = list(self._client.list_objects(self._bucket, self._prefix + prefix, recursive=True))
        entries = [
            Entry(one.object_name.removeprefix(self._prefix), one.size or 0, one.etag or "")
            for one in found
            if one.object_name
        ]
        return sorted(entries, key=lambda one: one.name)

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        return self.status(name) is not None

    def status(self, name: str) -> Status | None:
        """Of an object; its version is its ETag."""
        with self._explained("read", name), _allowed("NoSuchKey"):
            found = self._client.stat_object(self._bucket, self._key(name))
            headers = found.metadata or {}
            return Status(found.size or 0, found.etag or "", headers.get("x-amz-meta-sha256", ""), _age_s(headers))
        return None

    def read_range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        """A part of an object (Range, If-Match); one that is cut short is asked for again."""
        with self._explained("read", name), _allowed("PreconditionFailed"):
            return _again(lambda: self._range(name, start, length, version))
        return None

    def renew(self, name: str) -> None:
        """Has the store copy an object onto itself, with what is noted of it."""
        if (status := self.status(name)) is None:
            raise StoreError(f"{self.uri}/{name} cannot be renewed: it is not there.")
        with self._explained("renewed", name):
            source = ComposeSource(self._bucket, self._key(name), match_etag=status.version)
            self._client.compose_object(self._bucket, self._key(name), [source], metadata={"sha256": status.sha256})

    def delete(self, name: str) -> None:
        """Removes an object."""
        with self._explained("deleted", name):
            self._client.remove_object(self._bucket, self._key(name))

    def _key(self, name: str) -> str:
        return self._prefix + validate_name(name)

    def _range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        pinned: dict[str, Any] = {"If-Match": f'"{version}"'}
        response = self._client.get_object(self._bucket, self._key(name), start, length, request_headers=pinned)
        with closing(response):
            data = bytes(response.data)
            if _etag(response.headers) != version:  # of a store that knows no condition here
                return None
        if len(data) != length:
            raise ProtocolError(f"{len(data)} bytes came of {length}")
        return data

    def _download(self, name: str, path: Path) -> None:
        response = self._client.get_object(self._bucket, self._key(name))
        with closing(response), atomic_write(path) as beside:
            with beside.open("wb") as file:
                for chunk in response.stream(_CHUNK_BYTES):  # raises where fewer bytes come than were promised
                    file.write(chunk)
            verify(beside, response.headers.get("x-amz-meta-sha256"), f"{self.uri}/{name}")

    @contextmanager
    def _explained(self, doing: str, name: str = "") -> Iterator[None]:
        """What the client raises, as a sentence without what could hold a secret."""
        where = f"{self.uri}/{name}" if name else self.uri
        try:
            yield
        except S3Error as error:
            code = "RequestTimeTooSkewed" if _is_of_the_clock(error) else error.code
            said = _SENTENCES.get(code or "", "the store answers {code}").format(code=code)
            kind = StoreAwayError if error.code in _LATER else StoreError
            raise kind(f"{where} cannot be {doing}: {said}.") from None
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            raise StoreAwayError(
                f"{where} cannot be {doing}: the store at {self._endpoint} does not answer as it should "
                f"({str(reason).rpartition(': ')[2]}); see to it, to the network, or to {ENDPOINTS[0]}."
            ) from None
        except (MinioException, ParseError):
            raise StoreError(
                f"{where} cannot be {doing}: what answers at {self._endpoint} is no S3 store; correct {ENDPOINTS[0]}."
            ) from None
        except OSError as error:
            raise StoreError(f"{where} cannot be {doing} ({error.strerror}): see to the disk.") from None
        except ValueError as error:
            raise StoreError(f"{where} cannot be {doing}: {_own_words(str(error))}.") from None


def _again(ask: Callable[[], Answer]) -> Answer:
    """What `ask` gives; an answer that is cut short or arrives torn is asked for again."""
    for pause_s in _DOWNLOAD_PAUSES_S:
        with suppress(ProtocolError, ReadTimeoutError, DataError):
            return ask()
        time.sleep(pause_s)
    return ask()


@contextmanager
def _allowed(*codes: str) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code not in codes:
            raise


def _is_of_the_clock(error: S3Error) -> bool:
    """Whether credentials are refused for the clock that signed them: answers to HEAD do not say why."""
    answered_at = error.response.headers.get("date") if error.response is not None else None
    if error.code != "AccessDenied" or not answered_at:
        return False
    return abs(parsedate_to_datetime(answered_at).timestamp() - time.time()) > _SKEW_S


def _own_words(reason: str) -> str:
    if "providers" in reason:
        return "there are no credentials, so set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return reason.rstrip(".")


def _etag(headers: Mapping[str, str]) -> str:
    return headers["etag"].strip('"')


def _age_s(headers: Mapping[str, str]) -> float:
    """At least how long ago an object was written, from stamps in whole seconds; 0 where the store gives none."""
    written_at, answered_at = headers.get("last-modified"), headers.get("date")
    if not (written_at and answered_at):
        return 0.0
    between = parsedate_to_datetime(answered_at) - parsedate_to_datetime(written_at)
    return max(0.0, between.total_seconds() - 1)


def _first(variables: tuple[str, ...]) -> str:
    return next((value for name in variables if (value := os.environ.get(name))), "")
