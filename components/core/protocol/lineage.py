"""Lineage: the patients a network has seen, as HMACs under a study key, in a file that every artifact carries.

The identity of a patient is HMAC-SHA256(study key, namespace/patient), the namespace being the source (default: the
site), after the id of the key, so that identities of another key are recognised. It is computed once, when tiles are
cut; no later stage needs the key.
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
    """The study key in THYGAN_STUDY_KEY, or in the file THYGAN_STUDY_KEY_FILE, which is created with mode 0600.

    Raises:
        ConfigError: Neither variable is set, or the key has fewer than 16 characters.
    """
    text = os.environ.get(KEY_VARIABLE, "")
    if not text:
        name = os.environ.get(KEY_FILE_VARIABLE, "")
        if not name:
            raise ConfigError(
                f"No study key: set {KEY_VARIABLE} to a secret of at least 16 characters, or {KEY_FILE_VARIABLE} to "
                "a file with one (a missing file is created). On a cluster create the Secret thygan-study-key in "
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
    """Id of a key, 8 hex digits, from which the key cannot be derived."""
    return hmac.new(key, b"thygan key id", hashlib.sha256).hexdigest()[:8]


def identity(key: bytes, namespace: str, patient: str) -> str:
    """Identity of a patient, `KEYID-HMAC`: id of the key and 24 hex digits of the HMAC-SHA256 of namespace/patient."""
    return f"{key_id(key)}-{hmac.new(key, f'{namespace}/{patient}'.encode(), hashlib.sha256).hexdigest()[:24]}"


def key_of(identities: Iterable[str]) -> str:
    """Id of the study key that all these identities share.

    Raises:
        DataError: There is no identity, or they have different keys.
    """
    keys = sorted({identity.partition("-")[0] for identity in identities})
    if len(keys) != 1:
        raise DataError(
            f"The identities of the patients have {len(keys)} study keys ({', '.join(keys) or 'none is known'}): cut "
            "all tiles of a study with the same study key, and with known patients."
        )
    return keys[0]


@dataclass(frozen=True)
class Lineage:
    """The patients from whom a network or a synthetic archive was made.

    Attributes:
        key_id: Id of the study key of the identities.
        plan: Digest of the split plan.
        fold: Fold of which these are the training patients.
        scheme: Label scheme, "binary" or "diagnosis".
        patients: Sorted identities of all patients seen, also by the network that a training started from.
        trusted: Statement of a person about an origin that cannot be proven; '' = proven.
    """

    key_id: str
    plan: str
    fold: str
    scheme: str
    patients: list[str] = field(default_factory=list)
    trusted: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(value: Any, where: str = LINEAGE) -> "Lineage":
        """A lineage from the values of `to_dict`; raises DataError about `where` for any others."""
        return from_json(Lineage, value, where)

    @staticmethod
    def read(path: str | Path) -> "Lineage":
        """Reads a lineage file; raises LeakageError if it is missing, because nothing can be proven then."""
        path = Path(path)
        if not path.exists():
            raise LeakageError(
                f"{path.parent.name} has no {LINEAGE}, so its patients cannot be proven disjoint: run its stage again."
            )
        return Lineage.from_dict(read_json(path), str(path))


def extend_lineage(data: Lineage | None, start: Lineage | None, what: str, trust_origin: str) -> Lineage | None:
    """The lineage of a network that is initialised from another network.

    Args:
        data: Lineage of the training data; None = unknown, and nothing can be proven.
        start: Lineage of the other network; None = unknown.
        what: Name of the other network, the subject of the message.
        trust_origin: A person's statement in place of a proof; '' = none.

    Raises:
        LeakageError: There is neither a proof nor a statement.
    """
    if data is None:
        return None
    if start and start.patients and start.key_id == data.key_id:
        patients = sorted({*data.patients, *start.patients})
        return replace(data, patients=patients, trusted=start.trusted)
    if not trust_origin:
        raise LeakageError(
            f"{what} has no list of the patients it was trained on, or one with another study key: start from a "
            "network of this study, or state where it comes from with --trust-origin TEXT."
        )
    return replace(data, trusted=trust_origin)


def refuse_leak(
    lineage: Lineage,
    key_id: str,
    unseen: Iterable[str],
    what: str,
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> str:
    """Raises LeakageError for a network or an archive that has seen a patient of `unseen`.

    Args:
        lineage: Lineage of the generator or the synthetic archive.
        key_id: Id of the study key of the split plan.
        unseen: Identities of the fold's validation and test patients.
        what: Name of the generator or archive, the subject of the message.
        allow_leakage: Whether to continue in spite of an overlap.
        trust_origin: A person's statement in place of a proof; '' = none.

    Returns:
        '' = proven disjoint; else the mark of every number that follows.

    Raises:
        LeakageError: The patients overlap, or cannot be proven disjoint.
    """
    if lineage.key_id != key_id or not lineage.patients:
        if not trust_origin:
            raise LeakageError(
                f"{what} cannot be proven disjoint from this fold's patients (identities made with key "
                f"{lineage.key_id or 'none'}, the plan's with {key_id}): make it from the data of this study, or "
                "state where it comes from with --trust-origin TEXT."
            )
        return f"origin trusted: {trust_origin}"
    overlap = sorted(set(lineage.patients) & set(unseen))
    if not overlap:
        return f"origin trusted: {lineage.trusted}" if lineage.trusted else ""
    if not allow_leakage:
        shown = ", ".join(overlap[:_SHOWN]) + (" …" if len(overlap) > _SHOWN else "")
        raise LeakageError(
            f"{what} was trained on {len(overlap)} patient(s) of this fold's validation or test set ({shown}): "
            "train it on this fold's training patients, or continue with marked numbers by --allow-leakage."
        )
    return f"LEAKED: {len(overlap)} validation or test patient(s) seen by {what}"
