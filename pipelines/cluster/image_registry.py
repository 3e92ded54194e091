"""Whether a registry has an image, by its HTTP interface: without a daemon and without pulling."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import certifi
import urllib3

from components.core.errors import ConfigError, StoreError

_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LOOPBACK = re.compile(r"^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$")
_TIMEOUT_S = 10.0


def check_images(references: set[str]) -> None:
    """Refuses images that their registry does not have; credentials are those of `docker login`.

    Args:
        references: HOST/NAME:TAG or HOST/NAME@DIGEST of each image.

    Raises:
        ConfigError: A wrong reference, or an image that the registry does not have.
        StoreError: The registry does not answer, or refuses.
    """
    http = urllib3.PoolManager(timeout=urllib3.Timeout(_TIMEOUT_S), retries=2, ca_certs=certifi.where())
    absent = [one for one in sorted(references) if not _has_image(http, one)]
    if absent:
        raise ConfigError(
            f"{len(absent)} of {len(references)} images are not in their registry, for example {absent[0]}: build and "
            "push them (images/README.md), or set THYGAN_REGISTRY and THYGAN_TAG to where they are."
        )


def _has_image(http: urllib3.PoolManager, reference: str) -> bool:
    host, _, rest = reference.partition("/")
    name, _, tag = rest.partition("@") if "@" in rest else rest.rpartition(":")
    if not (host and name and tag) or not re.search(r"[.:]|^localhost$", host):
        raise ConfigError(f"{reference} is not an image reference: set THYGAN_REGISTRY to host/path.")
    scheme = "http" if _LOOPBACK.match(host) else "https"
    url = f"{scheme}://{host}/v2/{name}/manifests/{tag}"
    headers = {"Accept": ", ".join(_TYPES)}
    try:
        answer = http.request("HEAD", url, headers=headers)
        if answer.status == 401:
            headers["Authorization"] = _authorization(http, host, name, answer.headers.get("www-authenticate", ""))
            answer = http.request("HEAD", url, headers=headers)
    except urllib3.exceptions.HTTPError:
        raise StoreError(
            f"The registry {host} does not answer: correct THYGAN_REGISTRY, or skip this check by --no-check-images."
        ) from None
    if answer.status in (401, 403):
        raise StoreError(
            f"The registry {host} does not show {name} to this machine ({answer.status}): log in with `docker login "
            f"{host}`, or skip this check by --no-check-images."
        )
    return answer.status == 200


def _authorization(http: urllib3.PoolManager, host: str, name: str, challenge: str) -> str:
    login = _read_login(host)
    basic = f"Basic {login}" if login else ""
    parts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer") or not parts.get("realm", "").startswith(("https://", "http://")):
        return basic
    query = {"service": parts.get("service", ""), "scope": parts.get("scope") or f"repository:{name}:pull"}
    headers = {"Authorization": basic} if basic else {}
    answer = http.request("GET", f"{parts['realm']}?{urlencode(query)}", headers=headers)
    try:
        token: dict[str, Any] = json.loads(answer.data)
    except ValueError:
        return basic
    return f"Bearer {token.get('token') or token.get('access_token') or ''}"


def _read_login(host: str) -> str:
    """user:password as `docker login` stores it, base64; '' = not stored."""
    try:
        config = json.loads((Path.home() / ".docker" / "config.json").read_text(encoding="utf-8"))
        stored = str(config["auths"][host]["auth"])
        base64.b64decode(stored, validate=True)
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return stored
