"""No secret was ever committed: every line that was added in the history, through detect-secrets."""

import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from detect_secrets.core.scan import scan_diff
from detect_secrets.settings import get_settings, transient_settings

ROOT = Path(__file__).parents[2]
# Those that know what they look for; entropy alone finds every sha256 of a lock.
DETECTORS = (
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "CloudantDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "IbmCloudIamDetector", "JwtTokenDetector", "MailchimpDetector",
    "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector",
    "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip


def found_in(diff):
    """Kind and file of every secret."""
    with transient_settings({"plugins_used": [{"name": name} for name in DETECTORS]}):
        get_settings().disable_filters("detect_secrets.filters.common.is_invalid_file")  # what was deleted counts, too
        return [(one.type, one.filename) for one in scan_diff(diff)]


def test_a_secret_would_be_found():
    key = "AKIA" + "Q3ERG7T9UIXPWSDF"  # in two parts, or the history would hold it
    diff = f"diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -0,0 +1 @@\n+KEY = '{key}'\n"
    assert found_in(diff) == [("AWS Access Key", "x.py")]


def test_the_history_holds_no_secret():
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("skipped: there is no history here")
    run = partial(subprocess.run, capture_output=True, check=True, cwd=ROOT)
    if run([git, "rev-parse", "--is-shallow-repository"]).stdout.strip() != b"false":
        pytest.skip("skipped: a shallow copy of the history")
    left_out = ("*.npz", "*.png", "requirements", "images/requirements", "pipelines/compiled")
    log = [git, "log", "-p", "--all", "--no-textconv", "--no-color", "--format=", "-U0", "--", "."]
    diff = run([*log, *(f":!{name}" for name in left_out)]).stdout.decode(errors="replace")
    assert found_in(diff) == []
