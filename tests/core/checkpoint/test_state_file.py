"""State files: every bit comes back, and damage anywhere is seen."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.checkpoint.state_file import read_state, write_state
from components.core.errors import DataError, TrainingError

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
DTYPES = (*FLOATS, torch.int64, torch.int32, torch.uint8, torch.bool)
STATE = {"step": 7, "w": torch.linspace(0, 1, 20), "n": {"m": torch.tensor(7)}, "betas": (0.0, 0.99)}


def layout(tensor):
    """Strides, where they mean anything."""
    strides = zip(tensor.shape, tensor.stride(), strict=True)
    return [stride for size, stride in strides if size > 1] if tensor.numel() else []


def same(a, b):
    """Equal in type, shape, layout and every bit."""
    if isinstance(a, torch.Tensor):
        alike = (a.dtype, a.shape, layout(a)) == (b.dtype, b.shape, layout(b))
        return alike and a.reshape(-1).view(torch.uint8).equal(b.reshape(-1).view(torch.uint8))
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    dtype, seed = draw(st.sampled_from(DTYPES)), draw(st.integers(0, 2**32))
    raw = random.Random(seed).randbytes(81 * 8)
    count = int(torch.tensor(shape).prod()) if shape else 1
    if dtype is torch.bool:
        return torch.frombuffer(bytearray(raw), dtype=torch.uint8)[:count].reshape(shape) > 127
    tensor = torch.frombuffer(bytearray(raw), dtype=dtype)[:count].reshape(shape)
    return tensor.permute(draw(st.permutations(range(len(shape))))) if shape and 0 not in shape else tensor


KEYS = st.one_of(st.text(max_size=3), st.sampled_from(["a", "a.b", "b", "0"]), st.integers(-3, 3))
LEAVES = st.one_of(tensors(), st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
NESTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60)
@given(state=st.dictionaries(KEYS, NESTS, max_size=4))
def test_every_bit_comes_back(state, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "state.safetensors"
    write_state(path, state, {"step": 1})
    saved = read_state(path)
    assert saved.meta == {"step": 1}
    assert same(saved.state, state)


def test_equal_states_are_equal_files(tmp_path):
    for name in "ab":
        write_state(tmp_path / name, STATE, {"step": 1, "x": "y"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("fused", [True, False])
def test_an_optimizer_goes_on_as_if_nothing_had_been(tmp_path, fused):
    """Also where parameters lie in another layout, whose moments a fused step reads without a question."""

    def fresh():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(64, 2))
        network = network.to(memory_format=torch.channels_last)
        return network, torch.optim.Adam(network.parameters(), lr=0.01, betas=(0.0, 0.99), fused=fused)

    def train(network, optimizer, steps):
        for step in steps:
            image = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            network(image).square().sum().backward()
            optimizer.step()

    whole, first, second = fresh(), fresh(), fresh()
    train(*whole, range(6))
    train(*first, range(3))
    state = {"network": first[0].state_dict(), "optimizer": first[1].state_dict()}
    write_state(tmp_path / "x", state, {})
    found = read_state(tmp_path / "x").state
    second[0].load_state_dict(found["network"])
    second[1].load_state_dict(found["optimizer"])
    train(*second, range(3, 6))
    assert same(second[0].state_dict(), dict(whole[0].state_dict()))
    assert same(second[1].state_dict(), whole[1].state_dict())


def test_damage_anywhere_is_seen(tmp_path):
    path = tmp_path / "x"
    write_state(path, STATE, {"step": 7})
    whole = path.read_bytes()
    damaged = [whole[:end] for end in range(0, len(whole), 5)] + [whole + b"\0"]
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        damaged.append(bytes(flipped))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"/x is torn, or not a checkpoint \(") as refused:
            read_state(path)
        assert "\n" not in str(refused.value)


def test_a_state_of_another_format_is_not_called_torn(tmp_path, monkeypatch):
    monkeypatch.setattr("components.core.checkpoint.state_file.FORMAT", 2)
    write_state(tmp_path / "x", {}, {})
    monkeypatch.undo()
    with pytest.raises(TrainingError, match="has format 2 and this thygan reads 1"):
        read_state(tmp_path / "x")


@pytest.mark.parametrize("value", [object(), {1.5: 1}, {(1, 2): 1}, {True: 1}, b"bytes"])
def test_what_cannot_be_kept_is_refused(tmp_path, value):
    with pytest.raises(TypeError):
        write_state(tmp_path / "x", {"value": value}, {})
    assert not list(tmp_path.iterdir())
