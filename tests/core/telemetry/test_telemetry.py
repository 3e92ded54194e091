"""Who is seen from outside, where, and what a Pushgateway holds afterwards."""

import re
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.core.errors import ConfigError, DataError
from components.core.telemetry import series
from components.core.telemetry.live import count_items, stage_metrics
from components.core.telemetry.outcome import publish_outcome
from components.core.telemetry.stage import instrumented

sys.path.insert(0, str(Path(__file__).parent))
from real_prometheus import Gateway, fetch, free_port


def stage(work, name="gan_train"):
    """A stage's `run` that does `work`."""

    def run(**named):
        return work()

    run.__module__ = f"components.{name}.stage"
    return instrumented(run)


@pytest.fixture
def port(monkeypatch):
    """The port that the environment names."""
    found = free_port()
    monkeypatch.setenv("THYGAN_METRICS_PORT", str(found))
    return found


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    server = Gateway(tmp_path)
    monkeypatch.setenv("THYGAN_PUSHGATEWAY", server.url)
    yield server
    server.stop()


def page(port):
    return fetch(f"http://127.0.0.1:{port}/metrics")


def test_a_stage_shows_its_series_while_it_works_and_not_longer(port, monkeypatch):
    monkeypatch.setenv("THYGAN_RUN_ID", "r7")

    def work():
        stage_metrics().set(series.KIMG, 12.5)
        stage_metrics().set(series.GAN_LOSS, None, network="G")
        stage_metrics().add(series.NONFINITE, 2, phase="g_main")
        for _ in count_items(range(3), 5):
            pass
        return page(port)

    shown = stage(work)(scheme="binary", fold="1")
    own = 'fold="1",pipeline="thygan-study",run="r7",scheme="binary",stage="gan_train"'
    assert f"thygan_gan_kimg{{{own}}} 12.5" in shown
    assert re.search(r'thygan_gan_nonfinite_steps_total\{.*phase="g_main".*\} 2', shown)
    assert "thygan_gan_loss{" not in shown
    assert re.search(r"thygan_items\{.*\} 5", shown) and re.search(r"thygan_items_done\{.*\} 3", shown)
    assert set(re.findall(r"^# TYPE (\w+)", shown, re.M)) - {one.name for one in series.SERIES} <= {
        "thygan_gan_nonfinite_steps_created"
    }
    with pytest.raises(OSError):
        page(port)


def test_a_port_that_is_taken_is_counted_up(port, capsys):
    with socket.create_server(("127.0.0.1", port)):
        stage(lambda: None)()
    assert re.search(rf"metrics: http://127\.0\.0\.1:(?!{port}/)\d+/metrics", capsys.readouterr().out)


def test_nobody_sees_short_stages_dry_runs_and_a_training_s_other_processes(port, monkeypatch, capsys):
    stage(lambda: None, "split")()
    stage(lambda: None)(options=SimpleNamespace(dry_run=True))
    monkeypatch.setenv("RANK", "1")
    stage(lambda: None)()
    assert "metrics:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [("THYGAN_METRICS_PORT", "many"), ("THYGAN_METRICS_PORT", "70000"), ("THYGAN_PUSHGATEWAY", "ftp://gateway")],
)
def test_a_setting_that_cannot_be_meant_is_refused_before_any_work(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    done = []
    with pytest.raises(ConfigError, match=name):
        stage(lambda: done.append(1))()
    assert not done


def test_a_failure_leaves_the_last_success_standing(gateway):
    def fails():
        raise DataError("no tiles")

    stage(lambda: None, "pack")()
    success = re.search(r'last_success_timestamp_seconds\{.*stage="pack"\} (\S+)', gateway.text())[1]
    with pytest.raises(DataError):
        stage(fails, "pack")()
    text = gateway.text()
    assert re.search(r'thygan_stage_succeeded\{.*pipeline="thygan-study",stage="pack"\} 0', text)
    assert re.search(r'last_success_timestamp_seconds\{.*stage="pack"\} (\S+)', text)[1] == success
    assert re.search(r'thygan_stage_ended_timestamp_seconds\{.*stage="pack"\} (\S+)', text)[1] != success


def test_stages_and_pipelines_keep_apart(gateway):
    assert publish_outcome("run", True, 12.5, pipeline="other")
    assert publish_outcome("run", False, 9)
    text = gateway.text()
    assert re.search(r'thygan_stage_duration_seconds\{.*pipeline="other",stage="run"\} 12.5', text)
    assert re.search(r'thygan_stage_succeeded\{.*pipeline="thygan-study",stage="run"\} 0', text)


def test_a_gateway_that_is_away_costs_a_line_and_nothing_else(monkeypatch, capsys):
    monkeypatch.setenv("THYGAN_PUSHGATEWAY", f"127.0.0.1:{free_port()}")
    assert stage(lambda: "done")() == "done"
    assert re.search(r"did not accept the outcome", capsys.readouterr().out)
