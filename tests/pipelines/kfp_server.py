"""A KFP API server on loopback, of KFP's own models: what is off their schema is refused, what it answers is theirs.

A plugin: a test module that wants its fixtures names it in `pytest_plugins`.
"""

import email.parser
import json
import re
import threading
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
import pytest
import yaml

_QUERIES = {
    "/experiments": {"filter", "namespace", "page_token", "page_size", "sort_by"},
    "/pipelines": {"filter", "namespace", "page_token", "page_size", "sort_by"},
    "/recurringruns": {"filter", "namespace", "experiment_id", "page_token", "page_size", "sort_by"},
    "/versions": {"filter", "page_token", "page_size", "sort_by"},
    "/pipelines/upload": {"name", "display_name", "description", "namespace"},
    "/pipelines/upload_version": {"name", "display_name", "description", "pipelineid"},
}


class OffSchemaError(Exception):
    """What no model has."""


def build_model(kind, value):
    """A model out of JSON; raises OffSchemaError for a field that it does not have, or a value of another type."""
    if value is None:
        return None
    if kind.startswith("list["):
        return [build_model(kind[5:-1], one) for one in value]
    if kind.startswith("dict("):
        return {key: build_model(kind[5:-1].split(", ")[1], one) for key, one in value.items()}
    if kind in ("object", "datetime"):
        return value
    if kind in ("str", "int", "bool", "float"):
        if type(value).__name__ != kind and not (kind == "str" and isinstance(value, int)):  # int64 travels as text
            raise OffSchemaError(f"{value!r} is no {kind}")
        return value
    model = getattr(api, kind)
    if not model.openapi_types:  # an enumeration
        if value not in model.allowable_values:
            raise OffSchemaError(f"{value!r} is no {kind}")
        return value
    names = {json_name: name for name, json_name in model.attribute_map.items()}
    if unknown := set(value) - set(names):
        raise OffSchemaError(f"{kind} has no {sorted(unknown)}")
    return model(**{names[key]: build_model(model.openapi_types[names[key]], one) for key, one in value.items()})


class State:
    """What the server knows.

    Attributes:
        requests: Method and path of each.
        scripts: Run id -> states that it goes through, one each time it is asked for.
        multi_user: Whether every pipeline, experiment and recurring run belongs to a namespace.
    """

    def __init__(self):
        self.experiments, self.pipelines, self.versions, self.recurring, self.runs = {}, {}, {}, {}, {}
        self.requests, self.states, self.token, self.broken = [], ["RUNNING", "SUCCEEDED"], "", ""
        self.multi_user = False


class TakenError(Exception):
    """A name that exists already."""


class Handler(BaseHTTPRequestHandler):
    state: State

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer("GET")

    def do_POST(self):
        self._answer("POST")

    def do_DELETE(self):
        self._answer("DELETE")

    def _answer(self, method):
        address = urlsplit(self.path)
        path = address.path.removeprefix("/apis/v2beta1")
        self.query = {key: values[0] for key, values in parse_qs(address.query).items()}
        self.state.requests.append(f"{method} {path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.state.token and self.headers.get("Authorization") != f"Bearer {self.state.token}":
                return self._send(401, {"error": "Unauthenticated", "code": 16})
            if address.path == path:
                return self._send(404, {})
            for pattern, handle in ROUTES[method].items():
                if found := re.fullmatch(pattern, path):
                    self._check_query(path)
                    return self._send(200, handle(self, *found.groups()))
            return self._send(404, {"error": f"no such call: {method} {path}", "code": 12})
        except OffSchemaError as error:
            return self._send(400, {"error": str(error), "code": 3})
        except TakenError as error:
            return self._send(409, {"error": str(error), "code": 6})
        except KeyError as error:
            return self._send(404, {"error": f"{error.args[0]} not found", "code": 5})

    def _check_query(self, path):
        allowed = next((names for end, names in _QUERIES.items() if path.endswith(end)), set())
        if unknown := set(self.query) - allowed:
            raise OffSchemaError(f"{path} has no query {sorted(unknown)}")

    def _send(self, status, model):
        data = json.dumps(api.ApiClient().sanitize_for_serialization(model)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def read(self, kind):
        return build_model(kind, json.loads(self.body))

    def apply_filter(self, models):
        """Those that the filter names."""
        if "filter" not in self.query:
            return list(models)
        for one in json.loads(self.query["filter"])["predicates"]:
            if one["operation"] not in ("EQUALS", 1) or one["key"] != "display_name":
                raise OffSchemaError(f"filter {one}")
            models = [model for model in models if model.display_name == one["stringValue"]]
        return list(models)

    def of_namespace(self, models):
        """Those of the namespace that is asked for; a server with one user has no other."""
        if not self.state.multi_user:
            return list(models)
        return [one for one in models if (one.namespace or "") == self.query.get("namespace", "")]

    def check_namespace(self, name):
        """As a server with several users does, for everything but shared pipelines."""
        if self.state.multi_user and not name:
            raise OffSchemaError("Namespace is empty: in multi-user mode a namespace is required")

    def file(self):
        """The uploaded YAML's pipeline, out of a multipart body."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = email.parser.BytesParser().parsebytes(head + self.body).get_payload()
        documents = list(yaml.load_all(parts[0].get_payload(decode=True), Loader=yaml.CSafeLoader))
        if "pipelineInfo" not in documents[0]:
            raise OffSchemaError("no pipeline")
        return documents

    def health(self):
        return api.V2beta1GetHealthzResponse(multi_user=self.state.multi_user)

    def list_experiments(self):
        self.check_namespace(self.query.get("namespace"))
        experiments = self.of_namespace(self.state.experiments.values())
        return api.V2beta1ListExperimentsResponse(experiments=self.apply_filter(experiments))

    def create_experiment(self):
        created = self.read("V2beta1Experiment")
        self.check_namespace(created.namespace)
        created.experiment_id = str(uuid.uuid4())
        return self.state.experiments.setdefault(created.experiment_id, created)

    def list_pipelines(self):
        pipelines = self.of_namespace(self.state.pipelines.values())
        return api.V2beta1ListPipelinesResponse(pipelines=self.apply_filter(pipelines))

    def upload(self):
        name, namespace = self.query["name"], self.query.get("namespace")
        if any(one.display_name == name for one in self.of_namespace(self.state.pipelines.values())):
            raise TakenError(f"pipeline {name} already exists")
        created = api.V2beta1Pipeline(pipeline_id=str(uuid.uuid4()), display_name=name, namespace=namespace)
        self.state.pipelines[created.pipeline_id] = created
        self._add_version(created.pipeline_id, self.query["name"])
        return created

    def upload_version(self):
        if self.query["pipelineid"] not in self.state.pipelines:
            raise KeyError(self.query["pipelineid"])
        return self._add_version(self.query["pipelineid"], self.query["name"])

    def _add_version(self, pipeline, name):
        spec = self.file()
        if any(one.display_name == name and one.pipeline_id == pipeline for one in self.state.versions.values()):
            raise OffSchemaError(f"version {name} already exists")
        created = api.V2beta1PipelineVersion(
            pipeline_id=pipeline, pipeline_version_id=str(uuid.uuid4()), display_name=name, pipeline_spec=spec[0]
        )
        return self.state.versions.setdefault(created.pipeline_version_id, created)

    def list_versions(self, pipeline):
        own = [one for one in self.state.versions.values() if one.pipeline_id == pipeline]
        return api.V2beta1ListPipelineVersionsResponse(pipeline_versions=self.apply_filter(own))

    def create_run(self):
        created = self.read("V2beta1Run")
        self._check_runnable(created)
        created.run_id, created.state, created.created_at = str(uuid.uuid4()), "PENDING", datetime.now(UTC)
        return self.state.runs.setdefault(created.run_id, created)

    def get_run(self, run):
        found = self.state.runs[run]
        if self.state.states:
            found.state = self.state.states.pop(0)
        task = api.V2beta1PipelineTaskDetail(task_id="1", display_name="tile", run_id=run, state=found.state)
        found.run_details = api.V2beta1RunDetails(task_details=[task])
        return found

    def _check_runnable(self, created):
        """As the server does: the experiment and the version are there, every parameter is the pipeline's."""
        self.state.experiments[created.experiment_id]
        version = self.state.versions[created.pipeline_version_reference.pipeline_version_id]
        known = version.pipeline_spec["root"]["inputDefinitions"]["parameters"]
        for name in created.runtime_config.parameters or {}:
            if name not in known:
                raise OffSchemaError(f"parameter {name} is not defined")

    def list_recurring(self):
        self.check_namespace(self.query.get("namespace"))
        return api.V2beta1ListRecurringRunsResponse(recurring_runs=self.of_namespace(self.state.recurring.values()))

    def create_recurring(self):
        created = self.read("V2beta1RecurringRun")
        self._check_runnable(created)
        if len(created.trigger.cron_schedule.cron.split()) != 6:
            raise OffSchemaError("Schedule cron is not a supported format")
        created.recurring_run_id = str(uuid.uuid4())
        created.namespace = self.state.experiments[created.experiment_id].namespace
        created.status = "ENABLED" if created.mode == "ENABLE" else "DISABLED"
        return self.state.recurring.setdefault(created.recurring_run_id, created)

    def delete_recurring(self, run):
        del self.state.recurring[run]
        return {}


ROUTES = {
    "GET": {
        "/healthz": Handler.health,
        "/experiments": Handler.list_experiments,
        "/pipelines": Handler.list_pipelines,
        "/pipelines/([^/]+)/versions": Handler.list_versions,
        "/runs/([^/]+)": Handler.get_run,
        "/recurringruns": Handler.list_recurring,
    },
    "POST": {
        "/experiments": Handler.create_experiment,
        "/pipelines/upload": Handler.upload,
        "/pipelines/upload_version": Handler.upload_version,
        "/runs": Handler.create_run,
        "/recurringruns": Handler.create_recurring,
    },
    "DELETE": {"/recurringruns/([^/]+)": Handler.delete_recurring},
}


@pytest.fixture
def kfp_server(monkeypatch):
    """The running server's state; its `endpoint` is where it answers, and KF_PIPELINES_ENDPOINT says so."""
    state = State()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", state.endpoint)
    monkeypatch.delenv("THYGAN_KFP_TOKEN", raising=False)
    yield state
    server.shutdown()
    server.server_close()
