"""Devices by name; GPUs are counted as PyTorch counts them, so the test goes with any number of them."""

import pytest
import torch

from components.core.errors import ConfigError
from components.core.runtime.device import pick_device, pick_devices

CPU = torch.device("cpu")
GPUS = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def test_auto_is_every_gpu_or_the_cpu() -> None:
    assert pick_devices("auto") == (GPUS or [CPU])
    assert pick_device("auto").type == ("cuda" if GPUS else "cpu")


@pytest.mark.parametrize(("text", "count"), [("cpu", 1), ("cpu,cpu", 2), (" cpu , cpu ,cpu", 3)])
def test_a_list_has_its_devices_in_order(text: str, count: int) -> None:
    assert pick_devices(text) == [CPU] * count


@pytest.mark.skipif(not GPUS, reason="no GPU")
def test_cuda_is_every_gpu_and_a_number_is_one() -> None:
    assert pick_devices("cuda") == GPUS
    assert pick_devices("cuda:0") == GPUS[:1]
    assert pick_devices("cpu,cuda") == [CPU, *GPUS]


@pytest.mark.skipif(bool(GPUS), reason="there is a GPU")
@pytest.mark.parametrize("text", ["cuda", "cuda:0", "cpu,cuda"])
def test_without_a_gpu_cuda_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no device 'cuda"):
        pick_devices(text)


@pytest.mark.parametrize("text", ["", ",", "cpu,", "cpu,,cpu", " "])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="empty device name"):
        pick_devices(text)


@pytest.mark.parametrize("text", ["gpu", "cuda:99", "cpu,tpu0"])
def test_what_is_not_a_device_of_this_machine_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no device"):
        pick_devices(text)
