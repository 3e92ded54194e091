"""Who a network has seen: patients as HMACs under a study key, carried as a file by everything made from them.

The identity of a patient is HMAC-SHA256(study key, namespace/patient), the namespace being the source (default: the
site), behind the key's id: identities made with another key are seen as such. It is computed once, when tiles are cut;
no later stage needs the key.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from components.core.data.file_names import LINEAGE
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.io.atomic_files import read_json
from components.core.io.dataclass_json import from_json

KEY_VARIABLE = "THYGAN_STUDY_KEY"
KEY_FILE_VARIABLE = "THYGAN_STUDY_KEY_FILE"
_SHOWN = 5


def study_key() -> bytes:
    """The study key: from THYGAN_STUDY_KEY, or the file named by THYGAN_STUDY_KEY_FILE (made with mode 0600).

    Raises:
        ConfigError: Neither is set, or the key has fewer than 16 characters.
    """
    text = os.environ.get(KEY_VARIABLE, "")
    if not text:
        name = os.environ.get(KEY_FILE_VARIABLE, "")
        if not name:
            raise ConfigError(
                f"No study key: set {KEY_VARIABLE} to a secret of at least 16 characters, or {KEY_FILE_VARIABLE} to "
                "a file that holds one (it is made when absent). On a cluster create the Secret thygan-study-key in "
                f"the run's namespace, with the key {KEY_VARIABLE}."
            )
        text = _key_from_file(Path(name))
    if len(text) < 16:
        raise ConfigError("The study key has fewer than 16 characters: use a long random secret.")
    return text.encode()


def _key_from_file(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text().strip()


def key_id(key: bytes) -> str:
    """A name for the key that tells nothing about it: 8 hex digits."""
    return hmac.new(key, b"thygan key id", hashlib.sha256).hexdigest()[:8]


def identity(key: bytes, namespace: str, patient: str) -> str:
    """`KEYID-HMAC`: the key's id and 24 hex digits of the HMAC-SHA256 of namespace/patient."""
    return f"{key_id(key)}-{hmac.new(key, f'{namespace}/{patient}'.encode(), hashlib.sha256).hexdigest()[:24]}"


def key_of(identities: Iterable[str]) -> str:
    """The id of the one key that these identities were made with.

    Raises:
        DataError: There is no identity, or they were made with different keys.
    """
    keys = sorted({one.partition("-")[0] for one in identities})
    if len(keys) != 1:
        raise DataError(
            f"The patients' identities were made with {len(keys)} study keys ({', '.join(keys) or 'none is known'}): "
            "cut all tiles of a study with the same study key, and give their patients."
        )
    return keys[0]


@dataclass(frozen=True)
class Lineage:
    """What a network or a synthetic archive was made from.

    Attributes:
        key_id: The key that the identities were made with.
        plan: Digest of the split plan.
        fold: Fold whose training patients these are.
        scheme: Label scheme, "binary" or "diagnosis".
        patients: Identities of every patient seen, initial networks included; sorted.
        trusted: The text by which a person stated an origin that cannot be proven; '' = proven.
    """

    key_id: str
    plan: str
    fold: str
    scheme: str
    patients: list[str] = field(default_factory=list)
    trusted: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    @staticmethod
    def from_dict(value: Any, where: str = LINEAGE) -> "Lineage":
        """From `to_dict`'s form; DataError for another, whose sentence `where` opens."""
        return from_json(Lineage, value, where)

    @staticmethod
    def read(path: str | Path) -> "Lineage":
        """Reads a lineage file; an absent or empty one means that nothing can be proven."""
        path = Path(path)
        if not path.exists():
            raise LeakageError(f"{path.parent.name} has no {LINEAGE}: its patients cannot be proven disjoint.")
        return Lineage.from_dict(read_json(path), str(path))


def extend_lineage(own: Lineage | None, start: Lineage | None, what: str, trust_origin: str) -> Lineage | None:
    """The lineage of a network that was trained on from another.

    Args:
        own: Of what it is trained on; None = nobody says, and nothing can be proven anyway.
        start: Of the network that it begins with; None = nobody says.
        what: That network, for the message.
        trust_origin: A person's statement that takes the place of proof.

    Raises:
        LeakageError: Neither proof nor statement.
    """
    if own is None:
        return None
    if start and start.patients and start.key_id == own.key_id:
        patients = sorted({*own.patients, *start.patients})
        return replace(own, patients=patients, trusted=start.trusted)
    if not trust_origin:
        raise LeakageError(
            f"{what} does not say which patients it was trained on, or says so with another study key: begin with a "
            "network of this study, or state where it comes from with --trust-origin TEXT."
        )
    return replace(own, trusted=trust_origin)


def refuse_leak(
    lineage: Lineage,
    key_id: str,
    unseen: Iterable[str],
    what: str,
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> str:
    """Refuses what has seen a patient of `unseen`.

    Args:
        lineage: Of the generator or the synthetic archive.
        key_id: The plan's key.
        unseen: Identities of the fold's validation and test patients.
        what: What is checked, for the message.
        allow_leakage: Go on in spite of an overlap.
        trust_origin: A person's statement that takes the place of proof.

    Returns:
        '' when proven disjoint, else the mark that must go with every number that follows.

    Raises:
        LeakageError: Overlap, or no proof.
    """
    if lineage.key_id != key_id or not lineage.patients:
        if not trust_origin:
            raise LeakageError(
                f"{what} cannot be proven disjoint from this fold's patients (identities made with key "
                f"{lineage.key_id or 'none'}, the plan's with {key_id}): make it from this study's own data, or state "
                "where it comes from with --trust-origin TEXT."
            )
        return f"origin trusted: {trust_origin}"
    overlap = sorted(set(lineage.patients) & set(unseen))
    if not overlap:
        return f"origin trusted: {lineage.trusted}" if lineage.trusted else ""
    if not allow_leakage:
        shown = ", ".join(overlap[:_SHOWN]) + (" …" if len(overlap) > _SHOWN else "")
        raise LeakageError(
            f"{what} was trained on {len(overlap)} patient(s) of this fold's validation or test set ({shown}): "
            "train it on this fold's training patients, or go on with marked numbers by --allow-leakage."
        )
    return f"LEAKED: {len(overlap)} validation or test patient(s) seen by {what}"
