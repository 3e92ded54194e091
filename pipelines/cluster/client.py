"""A KFP server: pipeline versions, runs and recurring runs; its refusals become one sentence."""

import contextlib
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from components.core.errors import ConfigError, StoreError
from components.core.io.atomic_files import digest
from components.kfp_component import code_tag
from pipelines.study.compile import study_yaml
from pipelines.study.pipeline import NAME

ENDPOINT_VARIABLE, TOKEN_VARIABLE = "KF_PIPELINES_ENDPOINT", "THYGAN_KFP_TOKEN"
ACCOUNT_VARIABLE = "THYGAN_SERVICE_ACCOUNT"  # account of a run's pods; not set = the server's default
_PAGE, _TIMEOUT_S = 100, 10.0
_REFUSED = {
    401: f"does not accept the token in {TOKEN_VARIABLE} (401): it is missing or has expired, get a new one",
    403: f"refuses this (403): ask for the permission, or use another {TOKEN_VARIABLE} or --namespace",
}


class ClusterError(StoreError):
    """A KFP server that cannot be reached, or refuses."""


class Cluster:
    """A namespace of a KFP server.

    Attributes:
        endpoint: Address of the server.
    """

    def __init__(self, endpoint: str = "", namespace: str = "") -> None:
        """Connects.

        Args:
            endpoint: Address, http(s)://host[:port][/path]; '' = KF_PIPELINES_ENDPOINT. A token comes from
                THYGAN_KFP_TOKEN.
            namespace: Namespace on a server with several users; '' = the client's own setting, or that of the pod that
                it runs in.

        Raises:
            ConfigError: No address or a wrong one; or no namespace on a server with several users.
            ClusterError: The server does not answer, or refuses.
        """
        self.endpoint = (endpoint or os.environ.get(ENDPOINT_VARIABLE, "")).rstrip("/")
        token = os.environ.get(TOKEN_VARIABLE, "")
        is_multi_user = _is_multi_user(self.endpoint, token)
        self._account = os.environ.get(ACCOUNT_VARIABLE) or None
        with warnings.catch_warnings(), self._translate_errors():
            warnings.simplefilter("ignore")
            from kfp import Client

            self._client = Client(self.endpoint, existing_token=token or None, namespace=namespace or "kubeflow")
            self._namespace = namespace or (self._client.get_user_namespace() if is_multi_user else "")
        if is_multi_user and not self._namespace:
            raise ConfigError(
                f"The KFP server at {self.endpoint} has several users: name your profile's namespace by --namespace."
            )

    def ensure_uploaded(self) -> tuple[str, str, str]:
        """Uploads what is missing; returns the ids of the pipeline and of this code's version, and its name."""
        name = version_name()
        with self._translate_errors(), tempfile.TemporaryDirectory() as folder:
            pipeline = self._pipeline_id()
            if pipeline and (version := self._version_id(pipeline, name)):
                return pipeline, version, name
            path = Path(folder) / "study.yaml"
            path.write_text(study_yaml(), encoding="utf-8")
            if not pipeline:
                answer = self._client.upload_pipeline(str(path), NAME, namespace=self._namespace or None)
                pipeline = str(answer.pipeline_id)
            answer = self._client.upload_pipeline_version(str(path), name, pipeline_id=pipeline)
            return pipeline, str(answer.pipeline_version_id), name

    def is_uploaded(self) -> bool:
        """Whether the server has this code's version."""
        with self._translate_errors():
            pipeline = self._pipeline_id()
            return bool(pipeline and self._version_id(pipeline, version_name()))

    def start_run(self, name: str, experiment: str, parameters: dict[str, Any]) -> tuple[str, str]:
        """Starts a run of this code; returns its id and its page."""
        pipeline, version, _ = self.ensure_uploaded()
        with self._translate_errors():
            run = self._client.run_pipeline(
                self._create_experiment(experiment),
                name,
                params=parameters,
                pipeline_id=pipeline,
                version_id=version,
                service_account=self._account,
            )
        return run.run_id, f"{self.endpoint}/#/runs/details/{run.run_id}"

    def get_run(self, run_id: str) -> Any:
        """A run and the states of its tasks."""
        with self._translate_errors():
            return self._client.get_run(run_id)

    def list_recurring_runs(self) -> list[Any]:
        """All recurring runs."""
        runs: list[Any] = []
        page = ""
        with self._translate_errors():
            while True:
                answer = self._client.list_recurring_runs(
                    page_token=page, page_size=_PAGE, namespace=self._namespace or None
                )
                runs += answer.recurring_runs or []
                if not (page := answer.next_page_token or ""):
                    return runs

    def create_recurring_run(self, name: str, description: str, experiment: str, **settings: Any) -> str:
        """Creates a recurring run of this code; returns its id."""
        pipeline, version, _ = self.ensure_uploaded()
        with self._translate_errors():
            run = self._client.create_recurring_run(
                self._create_experiment(experiment),
                name,
                description=description,
                pipeline_id=pipeline,
                version_id=version,
                service_account=self._account,
                **settings,
            )
        return str(run.recurring_run_id)

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Deletes a recurring run; runs that it has started continue."""
        with self._translate_errors():
            self._client.delete_recurring_run(recurring_run_id)

    def _create_experiment(self, name: str) -> str:
        return str(self._client.create_experiment(name, namespace=self._namespace or None).experiment_id)

    def _pipeline_id(self) -> str:
        """Id of the namespace's own pipeline, '' = none; `Client.get_pipeline_id` finds shared ones only."""
        answer = self._client.list_pipelines(filter=_name_filter(NAME), namespace=self._namespace or None)
        pipelines = [one for one in answer.pipelines or [] if one.display_name == NAME]
        return str(pipelines[0].pipeline_id) if pipelines else ""

    def _version_id(self, pipeline: str, name: str) -> str:
        answer = self._client.list_pipeline_versions(pipeline, filter=_name_filter(name))
        versions = [one for one in answer.pipeline_versions or [] if one.display_name == name]
        return str(versions[0].pipeline_version_id) if versions else ""

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Silences the client and turns its exceptions into one sentence without a token in it."""
        import kfp_server_api

        logging.disable(logging.WARNING)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except kfp_server_api.ApiException as error:
            raise ClusterError(f"The KFP server at {self.endpoint} {_describe_error(error)}.") from None
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(
                f"The KFP server at {self.endpoint} does not answer properly ({type(error).__name__}): check the "
                "server, the network and --endpoint."
            ) from None
        except ValueError as error:  # the client's wording
            raise ClusterError(f"The KFP server at {self.endpoint}: {str(error).rstrip('.')}.") from None
        finally:
            logging.disable(logging.NOTSET)


def version_name() -> str:
    """Name of this code's pipeline version: the images' tag, and a digest of the IR."""
    return f"{code_tag()}-{digest(study_yaml())[:8]}"


def _name_filter(name: str) -> str:
    """The filter of a list call for a name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _is_multi_user(endpoint: str, token: str) -> bool:
    """Whether the server has several users: one request, where KFP's client tries five times and hides what failed."""
    if not endpoint:
        raise ConfigError(f"No KFP server is named: give --endpoint http://host:port, or set {ENDPOINT_VARIABLE}.")
    address = urlsplit(endpoint)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigError(f"--endpoint {endpoint} is not an address: write http://host:port or https://host/path.")
    http = urllib3.PoolManager(timeout=urllib3.Timeout(_TIMEOUT_S), retries=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = http.request("GET", f"{endpoint}/apis/v2beta1/healthz", headers=headers)
    except urllib3.exceptions.HTTPError as error:
        raise ClusterError(
            f"The KFP server at {endpoint} cannot be reached ({str(error).rpartition(': ')[2]}): start it, forward "
            "its port (kubectl port-forward -n kubeflow svc/ml-pipeline 8888), or correct --endpoint."
        ) from None
    if answer.status in _REFUSED:
        raise ClusterError(f"The KFP server at {endpoint} {_REFUSED[answer.status]}.")
    if answer.status != 200 or not answer.headers.get("content-type", "").startswith("application/json"):
        raise ClusterError(f"The server at {endpoint} is not a KFP server ({answer.status}): correct --endpoint.")
    return bool(json.loads(answer.data).get("multi_user"))


def _describe_error(error: Any) -> str:
    if error.status in _REFUSED:
        return _REFUSED[error.status]
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        answer = json.loads(error.body)
        message = answer.get("error_message") or answer.get("message") or answer.get("error")
        if message:
            return f"answers {error.status}: {str(message).splitlines()[0].rstrip('.')}"
    return f"answers {error.status} ({error.reason})"
