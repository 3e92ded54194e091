"""What two runs that did the same may differ in: what tells of the clock. Everything else must be equal, bit by bit."""

import base64
import hashlib
import json
import re
import zipfile
from pathlib import Path

_FIELDS = ("seconds", "sec_per_kimg", "seconds_per_epoch", "memory_gb")
_IN_JSON = re.compile(rf'"({"|".join(_FIELDS)})": [^,\n}}]+')
# The archive of tiles carries their record, with its seconds; a data card states the archive's sha256.
_ARCHIVE_IN_JSON = re.compile(r'"archive": "[0-9a-f]{64}"')
_ARCHIVE_ON_CARD = re.compile(r"(tile set \(file\).{1,50}code(?:>|&gt;))[0-9a-f]{64}")
_PACE_ON_PAGE = re.compile(r"(<dt>Time</dt><dd>)[0-9.]+ (?:s|min|h) per kimg")
_REPORTED_TIME = re.compile(r'(?<=<h2 id="time">Time</h2>\n)<div class="scroll"><table>.*?</table>', re.DOTALL)
_SECONDS = re.compile(r'(<td class="number">)[0-9.]+ (?:s|min|h)|(style="width: )[0-9.]+px')
_REPORTED_PACE = re.compile(r"<th[^>]*>s/kimg</th><th[^>]*>device</th>.*?</table>", re.DOTALL)
_NEXT_TO_LAST_CELL = re.compile(r'<td class="number">[0-9.]+(</td><td>[^<]*</td></tr>)')
_EMBEDDED = re.compile(r"(data:application/json;base64,)([A-Za-z0-9+/=]+)")


def digest(path: Path) -> str:
    """sha256 of a file, or of a zip's entries, without what tells of the clock."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            entries = [(name, _sha256(timeless(name, archive.read(name)))) for name in archive.namelist()]
        return _sha256(repr(entries).encode())
    return _sha256(timeless(path.name, path.read_bytes()))


def timeless(name: str, data: bytes) -> bytes:
    """A file's bytes without what tells of the clock."""
    if name.endswith((".json", ".jsonl")):
        return _json(data.decode()).encode()
    if name.endswith((".html", ".md")):
        text = _EMBEDDED.sub(_card_values, _ARCHIVE_ON_CARD.sub(r"\1", data.decode()))
        text = _REPORTED_TIME.sub(lambda table: _SECONDS.sub(r"\1\2", table[0]), text)
        text = _REPORTED_PACE.sub(lambda table: _NEXT_TO_LAST_CELL.sub(r"\1", table[0]), text)
        return _PACE_ON_PAGE.sub(r"\1", text).encode()
    return data


def _json(text: str) -> str:
    return _ARCHIVE_IN_JSON.sub('"archive": ""', _IN_JSON.sub(r'"\1": 0', text))


def _card_values(found: re.Match) -> str:
    text = base64.b64decode(found[2]).decode()
    json.loads(text)
    return found[1] + _json(text)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
