"""A run's end reaches the Pushgateway through KFP's own exit handler, whether the run succeeds or fails."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kfp import dsl, local

from components.outcome.component import outcome
from components.outcome.stage import report_outcome

CREATED = "2026-01-01T00:00:00Z"


@pytest.fixture
def gateway(monkeypatch):
    """What a Pushgateway was pushed: path -> body."""
    pushed = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            pushed[self.path] = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(200)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("THYGAN_PUSHGATEWAY", f"http://127.0.0.1:{server.server_address[1]}")
    yield pushed
    server.shutdown()
    server.server_close()


@dsl.component(install_kfp_package=False)
def stage(fails: bool):
    if fails:
        raise ValueError("a stage that fails")


@dsl.pipeline(name="small")
def small(fails: bool):
    with dsl.ExitHandler(outcome(pipeline="thygan-study", run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, created=CREATED)):
        stage(fails=fails)


@pytest.mark.parametrize("fails", [False, True])
def test_the_end_of_a_run_is_pushed(fails, gateway, tmp_path):
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path), raise_on_error=False)
    small(fails=fails)
    ((path, body),) = gateway.items()
    assert path.endswith("/stage/run")
    assert "/pipeline/thygan-study" in path
    assert re.search(rf"_succeeded {0.0 if fails else 1.0}$", body, re.MULTILINE), body
    assert "seconds" in body


@pytest.mark.parametrize(
    ("state", "succeeded"),
    [("COMPLETE", 1.0), ("CACHED", 1.0), ("SUCCEEDED", 1.0), ("FAILED", 0.0), ("CANCELLED", 0.0)],
)
def test_a_clusters_words_for_success_are_successes(state, succeeded, gateway):
    report_outcome(state, "", pipeline="p", run="r", created=CREATED)
    (body,) = gateway.values()
    assert re.search(rf"_succeeded {succeeded}$", body, re.MULTILINE), body


def test_a_server_that_does_not_say_when_a_run_began_keeps_no_end_from_being_pushed(gateway, capsys):
    report_outcome("SUCCEEDED", "", pipeline="p", run="r", created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER)
    (body,) = gateway.values()
    assert "NaN" in body
    assert capsys.readouterr().out.startswith("p, run r: SUCCEEDED\n")
