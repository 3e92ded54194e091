"""A KFP server, as far as thygan talks to it: versions, runs, recurring runs; what it refuses, as a sentence."""

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
from pipelines.study.exit_handler import NAME

ENDPOINT_VARIABLE, TOKEN_VARIABLE = "KF_PIPELINES_ENDPOINT", "THYGAN_KFP_TOKEN"
ACCOUNT_VARIABLE = "THYGAN_SERVICE_ACCOUNT"  # what a run's pods are; not set = the server's default
_PAGE, _TIMEOUT_S = 100, 10.0
_REFUSED = {
    401: f"does not know who asks (401): the token in {TOKEN_VARIABLE} is missing or has expired, get a new one",
    403: f"refuses this (403): ask for the right to it, or use another {TOKEN_VARIABLE} or --namespace",
}


class ClusterError(StoreError):
    """A KFP server that cannot be reached, or refuses."""


class Cluster:
    """A namespace of a KFP server.

    Attributes:
        endpoint: Its address.
    """

    def __init__(self, endpoint: str = "", namespace: str = "") -> None:
        """Connects.

        Args:
            endpoint: http(s)://host[:port][/path]; '' = KF_PIPELINES_ENDPOINT. A token comes from THYGAN_KFP_TOKEN.
            namespace: Of a server with several users; '' = the client's own setting, or that of the pod it runs in.

        Raises:
            ConfigError: No address, or none that can be meant; or no namespace on a server with several users.
            ClusterError: Nothing answers there, or not to us.
        """
        self.endpoint = (endpoint or os.environ.get(ENDPOINT_VARIABLE, "")).rstrip("/")
        token = os.environ.get(TOKEN_VARIABLE, "")
        is_multi_user = _is_multi_user(self.endpoint, token)
        self._account = os.environ.get(ACCOUNT_VARIABLE) or None
        with warnings.catch_warnings(), self._explained():
            warnings.simplefilter("ignore")
            from kfp import Client

            self._client = Client(self.endpoint, existing_token=token or None, namespace=namespace or "kubeflow")
            self._namespace = namespace or (self._client.get_user_namespace() if is_multi_user else "")
        if is_multi_user and not self._namespace:
            raise ConfigError(
                f"The KFP server at {self.endpoint} has several users: name your profile's namespace by --namespace."
            )

    def uploaded(self) -> tuple[str, str, str]:
        """Ids of the pipeline and of the version that is this code, and the version's name; uploads what is absent."""
        name = version_name()
        with self._explained(), tempfile.TemporaryDirectory() as folder:
            pipeline = self._pipeline()
            if pipeline and (version := self._version(pipeline, name)):
                return pipeline, version, name
            path = Path(folder) / "study.yaml"
            path.write_text(study_yaml(), encoding="utf-8")
            if not pipeline:
                answer = self._client.upload_pipeline(str(path), NAME, namespace=self._namespace or None)
                pipeline = str(answer.pipeline_id)
            answer = self._client.upload_pipeline_version(str(path), name, pipeline_id=pipeline)
            return pipeline, str(answer.pipeline_version_id), name

    def is_uploaded(self) -> bool:
        """Whether the server has the version that is this code."""
        with self._explained():
            pipeline = self._pipeline()
            return bool(pipeline and self._version(pipeline, version_name()))

    def start(self, name: str, experiment: str, parameters: dict[str, Any]) -> tuple[str, str]:
        """Starts a run of this code; returns its id and its page."""
        pipeline, version, _ = self.uploaded()
        with self._explained():
            run = self._client.run_pipeline(
                self._experiment(experiment),
                name,
                params=parameters,
                pipeline_id=pipeline,
                version_id=version,
                service_account=self._account,
            )
        return run.run_id, f"{self.endpoint}/#/runs/details/{run.run_id}"

    def run(self, run_id: str) -> Any:
        """A run as the server tells it."""
        with self._explained():
            return self._client.get_run(run_id)

    def recurring(self) -> list[Any]:
        """Every recurring run."""
        found: list[Any] = []
        page = ""
        with self._explained():
            while True:
                answer = self._client.list_recurring_runs(
                    page_token=page, page_size=_PAGE, namespace=self._namespace or None
                )
                found += answer.recurring_runs or []
                if not (page := answer.next_page_token or ""):
                    return found

    def recur(self, name: str, description: str, experiment: str, **settings: Any) -> str:
        """Creates a recurring run of this code; returns its id."""
        pipeline, version, _ = self.uploaded()
        with self._explained():
            made = self._client.create_recurring_run(
                self._experiment(experiment),
                name,
                description=description,
                pipeline_id=pipeline,
                version_id=version,
                service_account=self._account,
                **settings,
            )
        return str(made.recurring_run_id)

    def remove_recurring(self, recurring_run_id: str) -> None:
        """Deletes a recurring run; runs that it has begun go on."""
        with self._explained():
            self._client.delete_recurring_run(recurring_run_id)

    def _experiment(self, name: str) -> str:
        return str(self._client.create_experiment(name, namespace=self._namespace or None).experiment_id)

    def _pipeline(self) -> str:
        """Id of the namespace's own pipeline, '' = there is none; `Client.get_pipeline_id` knows shared ones only."""
        answer = self._client.list_pipelines(filter=_named(NAME), namespace=self._namespace or None)
        pipelines = [one for one in answer.pipelines or [] if one.display_name == NAME]
        return str(pipelines[0].pipeline_id) if pipelines else ""

    def _version(self, pipeline: str, name: str) -> str:
        answer = self._client.list_pipeline_versions(pipeline, filter=_named(name))
        versions = [one for one in answer.pipeline_versions or [] if one.display_name == name]
        return str(versions[0].pipeline_version_id) if versions else ""

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What the client prints is left out, what it raises becomes a sentence without a token in it."""
        import kfp_server_api

        logging.disable(logging.WARNING)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except kfp_server_api.ApiException as error:
            raise ClusterError(f"The KFP server at {self.endpoint} {_said(error)}.") from None
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(
                f"The KFP server at {self.endpoint} does not answer as it should ({type(error).__name__}): see to it, "
                "to the network, or to --endpoint."
            ) from None
        except ValueError as error:  # the client's own words
            raise ClusterError(f"The KFP server at {self.endpoint}: {str(error).rstrip('.')}.") from None
        finally:
            logging.disable(logging.NOTSET)


def version_name() -> str:
    """Of the pipeline version that is this code: the images' tag, and a digest of the IR."""
    return f"{code_tag()}-{digest(study_yaml())[:8]}"


def _named(name: str) -> str:
    """A list call's filter for what has this name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _is_multi_user(endpoint: str, token: str) -> bool:
    """The server's mode, asked once; KFP's client would ask five times and say nothing of why not."""
    if not endpoint:
        raise ConfigError(f"No KFP server: name it by --endpoint http://host:port or {ENDPOINT_VARIABLE}.")
    address = urlsplit(endpoint)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigError(f"--endpoint {endpoint} is no address: write http://host:port or https://host/path.")
    http = urllib3.PoolManager(timeout=urllib3.Timeout(_TIMEOUT_S), retries=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = http.request("GET", f"{endpoint}/apis/v2beta1/healthz", headers=headers)
    except urllib3.exceptions.HTTPError as error:
        raise ClusterError(
            f"The KFP server at {endpoint} cannot be reached ({str(error).rpartition(': ')[2]}): start it, open a way "
            "to it (kubectl port-forward -n kubeflow svc/ml-pipeline 8888), or correct --endpoint."
        ) from None
    if answer.status in _REFUSED:
        raise ClusterError(f"The KFP server at {endpoint} {_REFUSED[answer.status]}.")
    if answer.status != 200 or not answer.headers.get("content-type", "").startswith("application/json"):
        raise ClusterError(f"What answers at {endpoint} is no KFP server ({answer.status}): correct --endpoint.")
    return bool(json.loads(answer.data).get("multi_user"))


def _said(error: Any) -> str:
    if error.status in _REFUSED:
        return _REFUSED[error.status]
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        answer = json.loads(error.body)
        told = answer.get("error_message") or answer.get("message") or answer.get("error")
        if told:
            return f"answers {error.status}: {str(told).splitlines()[0].rstrip('.')}"
    return f"answers {error.status} ({error.reason})"
