"""submit and schedule as a user types them: KFP's own client, a server of KFP's own models, a real S3."""

import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from components.core.store import open_store
from components.groups import check_groups
from components.kfp_component import code_tag
from pipelines.cli.app import app
from pipelines.cluster.client import Cluster, version_name
from pipelines.cluster.cost import study_cost
from pipelines.cluster.cron import check_cron
from pipelines.cluster.image_registry import check_images
from pipelines.study.compile import study_ir

pytest_plugins = ["tests.core.real_s3", "tests.pipelines.kfp_server"]


@pytest.fixture
def thygan(capsys, monkeypatch):
    """Runs the command; returns what it printed, or its one sentence and that it failed."""
    monkeypatch.setattr("pipelines.cli.submit._POLL_S", 0.01)

    def run(*arguments):
        from components.core.errors import ThyganError

        try:
            app(list(map(str, arguments)), result_action="return_value")
        except ThyganError as error:
            return f"error: {error}"
        return capsys.readouterr().out

    return run


@pytest.fixture
def source(bucket, tmp_path):
    (tmp_path / "a.png").write_bytes(b"an image")
    open_store(bucket).put(tmp_path / "a.png", "study/a.png")
    return f"{bucket}/study"


@pytest.fixture
def registry(monkeypatch):
    """A registry on loopback that has the images of its set, and wants a token for them."""
    images = set()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self._send(200, b'{"token": "t"}')

        def do_HEAD(self):
            name, tag = re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path).groups()
            if self.headers.get("Authorization") != "Bearer t":
                realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="here"'
                return self._send(401, b"", {"WWW-Authenticate": realm})
            return self._send(200 if f"{name}:{tag}" in images else 404, b"")

        def _send(self, status, data, headers=None):
            self.send_response(status)
            for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", images
    server.shutdown()
    server.server_close()


def test_submit_uploads_once_runs_waits_and_says_where(thygan, kfp_server, source):
    told = thygan("submit", "--source", source, "--no-check-images", "--wait", "--json", "--gan.kimg", "1000")
    outcome = json.loads(told.strip().splitlines()[-1])
    run = kfp_server.runs[outcome["run"]]
    assert outcome["state"] == "SUCCEEDED"
    assert f"{kfp_server.endpoint}/#/runs/details/{outcome['run']}" in told
    assert "6 generator trainings of 1,000 kimg at 512 px" in told
    assert "tile: running" in told
    assert run.runtime_config.parameters == {"source": source, "gan": {"kimg": 1000.0}}
    thygan("submit", "--source", source, "--no-check-images")
    assert [one for one in kfp_server.requests if "upload_version" in one] == ["POST /pipelines/upload_version"]
    assert [one.display_name for one in kfp_server.experiments.values()] == ["thygan"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """No settings of KFP's client, which would name a namespace."""
    monkeypatch.setenv("HOME", str(tmp_path))


def test_with_several_users_everything_lies_in_the_namespace(thygan, kfp_server, source):
    kfp_server.multi_user = True
    options = ["--source", source, "--no-check-images", "--namespace", "lab"]
    assert "is to be uploaded" in thygan("submit", *options)
    assert "is uploaded already" in thygan("submit", *options)
    assert [one for one in kfp_server.requests if "/upload" in one] == [
        "POST /pipelines/upload",
        "POST /pipelines/upload_version",
    ]
    assert len(kfp_server.runs) == 2
    for one in (*kfp_server.pipelines.values(), *kfp_server.experiments.values()):
        assert one.namespace == "lab", one
    assert "is to be uploaded" in thygan("submit", *options[:-1], "clinic")
    assert [one.namespace for one in kfp_server.pipelines.values()] == ["lab", "clinic"]


def test_a_shared_pipeline_of_the_same_name_is_not_taken_for_the_namespaces_own(kfp_server):
    """Versions of shared pipelines are the administrator's."""
    shared, _, _ = Cluster().ensure_uploaded()
    kfp_server.multi_user = True
    cluster = Cluster(namespace="lab")
    assert not cluster.is_uploaded()
    own, version, name = cluster.ensure_uploaded()
    assert own != shared
    assert kfp_server.pipelines[own].namespace == "lab"
    assert (kfp_server.versions[version].pipeline_id, kfp_server.versions[version].display_name) == (own, name)
    assert cluster.ensure_uploaded() == (own, version, name)


def test_with_several_users_a_namespace_is_asked_for(thygan, kfp_server, source, home):
    kfp_server.multi_user = True
    told = thygan("submit", "--source", source, "--no-check-images")
    assert re.fullmatch(r"error: The KFP server at \S+ has several users: name [^\n]* by --namespace\.", told)
    assert not any(one.startswith("POST") for one in kfp_server.requests)


def test_doctor_looks_into_the_namespace(kfp_server, capsys):
    kfp_server.multi_user = True
    Cluster(namespace="lab").ensure_uploaded()
    for namespace, there in (("lab", "has"), ("clinic", "does not have yet")):
        with contextlib.suppress(SystemExit):  # for what else this machine lacks
            app(["doctor", "--namespace", namespace, "--json"], result_action="return_value")
        (kfp,) = [one for one in json.loads(capsys.readouterr().out) if one["what"] == "kfp"]
        assert kfp["is_well"]
        assert f"and {there} version" in kfp["details"]


def test_pools_are_named_from_the_shell(thygan, kfp_server, source):
    taint = '{"key": "pool", "operator": "Equal", "value": "a100", "effect": "NoSchedule"}'
    options = ["--gpu-node-selector", "pool=a100", "--gpu-count", "2", "--gpu-tolerations", taint]
    thygan("submit", "--source", source, "--no-check-images", *options)
    (run,) = kfp_server.runs.values()
    given = run.runtime_config.parameters
    assert given["gpu_node_selector"] == {"pool": "a100"}
    assert given["gpu_count"] == "2"
    assert given["gpu_tolerations"] == [json.loads(taint)]


def test_a_run_that_fails_fails_the_command(thygan, kfp_server, source):
    kfp_server.states = ["RUNNING", "FAILED"]
    told = thygan("submit", "--source", source, "--no-check-images", "--wait")
    assert told.startswith("error: The run ended as FAILED")


def test_a_dry_run_changes_nothing(thygan, kfp_server, source):
    told = thygan("submit", "--source", source, "--no-check-images", "--dry-run")
    assert "is to be uploaded" in told
    assert not any(one.startswith(("POST", "DELETE")) for one in kfp_server.requests)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "--source s3://bucket/prefix"),
        (["--source", "slides"], "no pod can read"),
        (["--source", "s3://no-such-bucket/x"], "no such bucket"),
        (["--source", "s3://thygan-test/nothing-here"], "it is empty"),
        (["--source", "SOURCE", "--labels", "s3://thygan-test/no.csv"], "the object does not exist"),
        (["--source", "SOURCE", "--endpoint", "http://127.0.0.1:9"], "cannot be reached"),
        (["--source", "SOURCE", "--endpoint", "kfp"], "is not an address"),
        (["--source", "SOURCE", "--max-gpu-hours", "10"], "GPU-hours, more than --max-gpu-hours 10"),
        (["--source", "SOURCE", "--profile", "PROFILE"], "gan has no option 'kimgs'; did you mean 'kimg'?"),
        (["--source", "SOURCE", "--profile", "OLD"], "Profile old.yaml: kimg is now in the group gan"),
        (["--source", "SOURCE", "--kimg", "3"], "--kimg is now --gan.kimg"),
        (["--source", "SOURCE", "--report.title", "x" * 10_001], "KFP takes 10,000"),
    ],
)
def test_wrong_options_are_one_sentence_before_anything_is_sent(
    options, sentence, thygan, kfp_server, source, tmp_path
):
    (tmp_path / "profile.yaml").write_text("gan: {kimgs: 3}\n")
    (tmp_path / "old.yaml").write_text("kimg: 3\n")
    values = {"SOURCE": source, "PROFILE": str(tmp_path / "profile.yaml"), "OLD": str(tmp_path / "old.yaml")}
    told = thygan("submit", "--no-check-images", *(values.get(one, one) for one in options))
    assert told.startswith("error: ")
    assert sentence in told
    assert "\n" not in told
    assert not any(one.startswith("POST") for one in kfp_server.requests)


def test_an_expired_token_is_said_and_not_shown(thygan, kfp_server, source, monkeypatch):
    kfp_server.token = "today"  # noqa: S105
    monkeypatch.setenv("THYGAN_KFP_TOKEN", "yesterday")
    told = thygan("submit", "--source", source, "--no-check-images")
    assert "401" in told
    assert "expired" in told
    assert "yesterday" not in told
    monkeypatch.setenv("THYGAN_KFP_TOKEN", "today")
    assert "run " in thygan("submit", "--source", source, "--no-check-images")


def test_a_server_that_is_none_is_named(thygan, registry, source):
    told = thygan("submit", "--source", source, "--no-check-images", "--endpoint", f"http://{registry[0]}")
    assert "is not a KFP server" in told


def test_what_the_server_refuses_is_told_in_its_words(kfp_server):
    from pipelines.cluster.client import ClusterError

    cluster = Cluster()
    with pytest.raises(ClusterError, match="parameter kimgs is not defined"):
        cluster.start_run("a run", "thygan", {"kimgs": 3})


def test_images_are_looked_for_with_the_registrys_own_token(registry):
    from components.core.errors import ConfigError, StoreError

    host, images = registry
    references = {f"{host}/lab/python-{stage}:v1" for stage in ("tile", "pack")}
    with pytest.raises(ConfigError, match="2 of 2 images are not in their registry"):
        check_images(references)
    images |= {"lab/python-tile:v1", "lab/python-pack:v1"}
    check_images(references)
    with pytest.raises(ConfigError, match="1 of 1 images"):
        check_images({f"{host}/lab/python-tile:v2"})
    with pytest.raises(StoreError, match="does not answer"):
        check_images({"127.0.0.1:9/lab/python-tile:v1"})
    with pytest.raises(ConfigError, match="is not an image reference"):
        check_images({"lab/python-tile:v1"})


def test_the_images_of_the_ir_name_this_code():
    executors = study_ir()[0]["deploymentSpec"]["executors"].values()
    assert all(one["container"]["image"].endswith(f":{code_tag()}") for one in executors)


# schedules


@pytest.fixture
def folder(tmp_path, source):
    folder = tmp_path / "schedules"
    folder.mkdir()
    write(folder, "weekly", source=source)
    return folder


def write(folder, name, source="s3://thygan-test/x", cron="0 0 22 * * SUN", **others):
    text = yaml.safe_dump({"name": name, "cron": cron, "parameters": {"source": source}, **others})
    (folder / f"{name}.yaml").write_text(text)


def apply(thygan, folder, *options):
    return thygan("schedule", "apply", folder, "--no-check", *options)


def test_apply_creates_and_then_changes_nothing(thygan, kfp_server, folder, source):
    assert "create weekly: 0 0 22 * * SUN" in apply(thygan, folder)
    (run,) = kfp_server.recurring.values()
    assert run.trigger.cron_schedule.cron == "0 0 22 * * SUN"
    assert run.runtime_config.parameters == {"source": source}
    assert run.no_catchup is True
    assert run.max_concurrency in (1, "1")
    version = kfp_server.versions[run.pipeline_version_reference.pipeline_version_id]
    assert version.display_name == version_name()
    kfp_server.requests.clear()
    assert "keep weekly" in apply(thygan, folder)
    assert not any(one.startswith(("POST", "DELETE")) for one in kfp_server.requests)


def test_a_changed_file_is_created_anew_before_the_old_one_goes(thygan, kfp_server, folder, source):
    apply(thygan, folder)
    (before,) = kfp_server.recurring
    write(folder, "weekly", source=source, cron="0 30 4 * * *")
    kfp_server.requests.clear()
    assert "replace weekly" in apply(thygan, folder)
    (run,) = kfp_server.recurring.values()
    assert run.trigger.cron_schedule.cron == "0 30 4 * * *"
    order = [one for one in kfp_server.requests if "recurringruns" in one and not one.startswith("GET")]
    assert order == ["POST /recurringruns", f"DELETE /recurringruns/{before}"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda run: setattr(run, "status", "DISABLED"), "it was disabled on the server"),
        (lambda run: setattr(run.trigger.cron_schedule, "cron", "0 0 1 * * *"), "its cron on the server is 0 0 1"),
        (lambda run: run.runtime_config.parameters.update(kimg=1.0), "its parameters on the server differ"),
    ],
)
def test_drift_is_shown_and_mended(change, told, thygan, kfp_server, folder):
    apply(thygan, folder)
    (before,) = kfp_server.recurring
    change(kfp_server.recurring[before])
    shown = apply(thygan, folder, "--dry-run")
    assert f"would replace weekly: {told}" in shown
    assert list(kfp_server.recurring) == [before]
    apply(thygan, folder)
    assert list(kfp_server.recurring) != [before]
    assert "keep weekly" in apply(thygan, folder)


def test_what_was_made_by_hand_is_left_alone(thygan, kfp_server, folder):
    cluster = Cluster()
    cluster.create_recurring_run("by hand", "mine", "thygan", cron_expression="0 0 0 * * *", params={})
    write(folder, "daily")
    apply(thygan, folder)
    (folder / "daily.yaml").unlink()
    assert "leave daily: its file is gone; --prune deletes it" in apply(thygan, folder)
    apply(thygan, folder, "--prune")
    assert sorted(one.display_name for one in kfp_server.recurring.values()) == ["by hand", "weekly"]
    listed = json.loads(thygan("schedule", "list", "--json"))
    assert {one["name"]: one["from_file"] for one in listed} == {"by hand": False, "weekly": True}
    assert "by hand" in thygan("schedule", "delete", "by hand")
    thygan("schedule", "delete", "weekly")
    assert [one.display_name for one in kfp_server.recurring.values()] == ["by hand"]


def test_with_several_users_schedules_are_the_namespaces_own(thygan, kfp_server, folder):
    kfp_server.multi_user = True
    for namespace in ("lab", "clinic"):
        assert "create weekly" in apply(thygan, folder, "--namespace", namespace)
        assert "keep weekly" in apply(thygan, folder, "--namespace", namespace)
    assert [one.namespace for one in kfp_server.recurring.values()] == ["lab", "clinic"]
    thygan("schedule", "delete", "weekly", "--namespace", "lab")
    assert [one.namespace for one in kfp_server.recurring.values()] == ["clinic"]


def test_an_apply_that_died_between_leaves_one(thygan, kfp_server, folder):
    apply(thygan, folder)
    (run,) = kfp_server.recurring.values()
    again = type(run)(**{**run.to_dict(), "trigger": run.trigger, "runtime_config": run.runtime_config})
    again.recurring_run_id = "second"
    kfp_server.recurring["second"] = again
    assert "delete weekly: 1 beside the current one" in apply(thygan, folder)
    assert len(kfp_server.recurring) == 1


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "There is no schedule in"),
        ({"a": "name: x\ncron: 0 0 1 * * *\n", "b": "name: x\ncron: 0 0 2 * * *\n"}, "are both named 'x'"),
        ({"a": "name: x\ncron: 0 1 * * *\n"}, "has five fields; KFP has six, seconds first: write '0 0 1 * * *'"),
        ({"a": "name: x\ncron: 0 0 25 * * *\n"}, "has the hour '25'; it goes from 0 to 23"),
        ({"a": "name: x\ncron: 0 0 1 * * *\nparameters: {kimgs: 3}\n"}, "a.yaml: the study has no parameter 'kimgs'"),
        ({"a": "name: x\ncron: 0 0 1 * * *\nparameters: {kimg: 3}\n"}, "a.yaml: kimg is now in the group gan"),
        ({"a": "name: x\ncron: 0 0 1 * * *\nparameters: {gan: {kimg: many}}\n"}, "gan.kimg is 'many': give a number"),
        ({"a": "name: x\ncron: 0 0 1 * * *\nparameters: {external: there}\n"}, "external is 'there': write a list"),
        ({"a": "name: x\ncron: 0 0 1 * * *\nenabled: 1\n"}, "enabled is 1: write true or false"),
        ({"a": "name: x\ncron: 0 0 1 * * *\nprofile: none-such\n"}, "There is no profile 'none-such'"),
        ({"a": "name: x\ncron: 0 0 1 * * *\nevery: day\n"}, "unknown key 'every'"),
        ({"a": "cron: 0 0 1 * * *\n"}, "has no name"),
        ({"a": "name: [\n"}, "is not YAML"),
    ],
)
def test_a_wrong_schedule_is_one_sentence(files, sentence, thygan, kfp_server, tmp_path):
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    told = apply(thygan, tmp_path)
    assert told.startswith("error: ")
    assert sentence in told
    assert kfp_server.requests == []


@pytest.mark.parametrize("text", ["0 0 22 * * SUN", "*/10 0-30/5 1,3 ? JAN-MAR MON-FRI", "0 0 9 1 * ?"])
def test_cron_as_kfp_takes_it(text):
    assert check_cron(text, "here") == text


@pytest.mark.parametrize(
    "text",
    [
        *("0 0 22 * *", "", "60 0 0 * * *", "0 0 0 0 * *", "0 0 0 * 13 *", "0 0 0 * * 7", "0 0 0 * * MON-"),
        *("0 0 5-3 * * *", "*/0 0 0 * * *", "? 0 0 * * *", "@daily"),
    ],
)
def test_cron_as_kfp_refuses_it(text):
    from components.core.errors import ConfigError

    with pytest.raises(ConfigError, match="here: cron"):
        check_cron(text, "here")


def test_the_committed_schedules_can_be_read():
    from pathlib import Path

    from pipelines.cli.schedule_files import read_schedules

    assert [one.schedule.name for one in read_schedules(Path(__file__).parents[2] / "schedules")] == ["weekly-study"]


# cost


def cost(tiles=0, sec_per_kimg=0.0, *, arms, **gan):
    return study_cost(
        check_groups({"split": {"arms": arms}, "gan": gan, "tile": {"resolution": 512}}), tiles, sec_per_kimg
    )


def test_cost_follows_from_the_trainings():
    both = cost(arms=["none", "bi100", "mc100"])
    trained = {one.stage: one for one in both.stages}["gan_train"]
    assert trained.tasks == 12
    assert trained.gpu_hours == pytest.approx(12 * 25000 * 41.06 / 3600)
    assert both.headline.startswith("12 generator trainings of 25,000 kimg at 512 px")
    half = cost(arms=["none", "bi100"], kimg=12500.0, sec_per_kimg=20.0)
    assert {one.stage: one for one in half.stages}["gan_train"].gpu_hours == pytest.approx(6 * 12500 * 20 / 3600)
    more = cost(arms=["none", "bi100", "mc100"], tiles=40_000)
    stored = [sum(one.stored_bytes for one in each.stages) for each in (both, more)]
    assert stored[1] > 1.9 * stored[0] - 2e10


def test_a_preset_s_length_is_the_cost_s():
    assert cost(arms=["none", "bi100"], preset="cifar").headline.startswith("6 generator trainings of 100,000 kimg")
