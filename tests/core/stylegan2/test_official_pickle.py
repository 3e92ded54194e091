"""Official snapshots: their networks draw the golden images, and nothing in a file ever runs."""

import io
import os
import pickle
import struct
import subprocess
import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # official_files
from official_files import OPTIONS, write_official

from components.core.errors import DataError
from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.official_pickle import read_official


def state_of(golden):
    return {key.removeprefix("sd/"): value for key, value in golden.items() if key.startswith("sd/")}


def tiny(c_dim=2, **options):
    """State dicts of networks at 8 px."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        G = Generator(8, c_dim, 8, 8, channel_base=64, channel_max=16, mapping_layers=2, **options)
        D = Discriminator(c_dim, 8, channel_base=64, channel_max=16)
    return {"G": G.state_dict(), "D": D.state_dict(), "G_ema": G.state_dict()}


@pytest.fixture(scope="module")
def data(golden):
    return golden("generator"), golden("discriminator")


ODD_OPTIONS = {
    "swish": {"activation": "swish"},
    "text": {"conv_clamp": "256"},
    "infinite": {"conv_clamp": float("inf")},
    "nested": {"activation": ["lrelu"]},
    "none-left": {"channel_max": 0},
}
VARIANTS = {
    "plain": {},
    "resnet": {"architecture": "resnet"},
    "orig": {"architecture": "orig", "use_noise": False},
}


@pytest.fixture(scope="module")
def networks(data):
    G, D = (state_of(one) for one in data)
    return {"G": {name: value + np.float32(1) for name, value in G.items()}, "D": D, "G_ema": G}


@pytest.fixture(scope="module")
def marker(tmp_path_factory):
    return tmp_path_factory.mktemp("marker") / "ran"


@pytest.fixture(scope="module")
def files(networks, marker, tmp_path_factory):
    """Every file of this module by name."""
    wanted = {
        f"protocol-{protocol}.pkl": {"networks": networks, "options": OPTIONS, "protocol": protocol}
        for protocol in (3, 4, 5)
    }
    wanted["network-snapshot-000123.pkl"] = {"networks": networks, "options": OPTIONS}
    for c_dim in (0, 3):
        for name, options in VARIANTS.items():
            wanted[f"{name}-{c_dim}.pkl"] = {"networks": tiny(c_dim, **options)}
    small = tiny()
    wanted["small.pkl"] = {"networks": small, "source": f"open({str(marker)!r}, 'w')"}
    attention = {**small["G"], "synthesis.b8.attention": torch.zeros(3)}
    wanted["attention.pkl"] = {"networks": {**small, "G": attention}}
    for name, options in ODD_OPTIONS.items():
        wanted[f"{name}.pkl"] = {"networks": small, "options": {"G": {"synthesis_kwargs": options}, "D": {}}}
    return write_official(tmp_path_factory.mktemp("official"), wanted)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_tensor_arrives(networks, files, protocol):
    snapshot = read_official(files[f"protocol-{protocol}.pkl"])
    for name in ("G", "D", "G_ema"):
        state = getattr(snapshot, name).state
        assert state.keys() == networks[name].keys()
        for key, value in networks[name].items():
            np.testing.assert_array_equal(state[key].numpy(), value)
    assert snapshot.kimg is None


def test_imported_networks_draw_and_judge_as_the_official_ones(data, files):
    golden_G, golden_D = data
    snapshot = read_official(files["network-snapshot-000123.pkl"])
    assert snapshot.kimg == 123
    assert snapshot.G_ema.arguments["num_fp16_res"] == 4
    G, D = Generator(**snapshot.G_ema.arguments).eval(), Discriminator(**snapshot.D.arguments).eval()
    G.load_state_dict(snapshot.G_ema.state)
    D.load_state_dict(snapshot.D.state)
    with torch.no_grad():
        z, c = torch.from_numpy(golden_G["z"]).float(), torch.from_numpy(golden_G["labels"]).float()
        images = G(z, c, truncation_psi=0.7, noise_mode="const")
        logits = D(torch.from_numpy(golden_D["images"]).float(), torch.from_numpy(golden_D["labels"]).float())
    np.testing.assert_allclose(images, golden_G["img_const_psi0.7"], atol=1e-4)
    np.testing.assert_allclose(logits.flatten(), golden_D["logits"].flatten(), atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("c_dim", [0, 3])
def test_what_is_not_recorded_follows_from_the_tensors(files, c_dim, name):
    arguments = read_official(files[f"{name}-{c_dim}.pkl"]).G_ema.arguments
    Generator(**arguments).load_state_dict(tiny(c_dim, **VARIANTS[name])["G"])
    assert (arguments["c_dim"], arguments["z_dim"], arguments["w_dim"]) == (c_dim, 8, 8)
    assert VARIANTS[name].items() <= arguments.items()


def test_nothing_of_the_source_text_or_of_the_support_modules_runs(files, marker, tmp_path, monkeypatch):
    support = tmp_path / "torch_utils"
    support.mkdir()
    for name in ("__init__", "persistence"):
        (support / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    read_official(files["small.pkl"])
    assert not marker.exists()
    assert "torch_utils" not in sys.modules


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("swish.pkl", "activation 'swish'"),
        ("attention.pkl", r"'synthesis.b8.attention' of \[3\] has no counterpart"),
        ("text.pkl", "conv_clamp is not a number"),
        ("infinite.pkl", "conv_clamp is not a number"),
        ("nested.pkl", "activation is neither text nor number"),
        ("none-left.pkl", "torn"),
    ],
)
def test_networks_that_ours_cannot_be_are_refused(files, name, said):
    with pytest.raises(DataError, match=said):
        read_official(files[name])


class Call:
    """What a hostile pickle is made of: an object that is 'built' by calling something."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def storage_bytes(evil):
    """A torch storage's bytes whose header is evil."""
    return b"".join(pickle.dumps(one, protocol=2) for one in (0x1950A86A20F9469CFC6C, 1001, {}, evil, []))


def hostile(marker):
    command = f"touch {marker}"
    yield "posix.system", Call(os.system, command)
    yield "builtins.eval", Call(eval, f"open({marker!r}, 'w')")
    yield "builtins.exec", Call(exec, f"open({marker!r}, 'w')")
    yield "builtins.getattr", Call(getattr, Call(__import__, "os"), "system")
    yield "builtins.__import__", Call(__import__, "os")
    yield "builtins.open", Call(open, marker, "w")
    yield "subprocess.Popen", Call(subprocess.Popen, ["touch", marker])
    yield "torch.serialization.load", Call(torch.load, marker)
    yield "posix.system", OrderedDict(a=[{"b": (1, Call(os.system, command))}])
    yield "posix.system", Call(OrderedDict, [("a", Call(os.system, command))])
    yield "posix.system", Call(torch.storage._load_from_bytes, storage_bytes(Call(os.system, command)))
    yield "_pickle.loads", Call(pickle.loads, pickle.dumps(Call(os.system, command)))
    yield "torch._utils._rebuild_tensor", Call(torch._utils._rebuild_tensor, 1, 2, 3, 4)


@pytest.mark.parametrize("number", range(13))
@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("place", ["alone", "inside"])
def test_hostile_pickles_are_refused_by_name_and_nothing_runs(tmp_path, number, protocol, place):
    marker = tmp_path / "ran"
    name, evil = list(hostile(str(marker)))[number]
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(evil if place == "alone" else {"G": 1, "D": evil, "G_ema": 2}, protocol=protocol))
    with pytest.raises(DataError, match="which no network needs") as refused:
        read_official(path)
    said = str(refused.value)
    assert name.split(".")[-1] in said
    assert "\n" not in said
    assert not marker.exists()


def test_the_hostile_pickles_do_run_elsewhere(tmp_path):
    """So that their refusal means something."""
    marker = tmp_path / "ran"
    data = pickle.dumps(next(hostile(str(marker)))[1])
    assert pickle.loads(data) == 0  # noqa: S301
    assert marker.exists()


def storage(values):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TypedStorage")
        torch.save(torch.FloatStorage(values), file, _use_new_zipfile_serialization=False)
    return file.getvalue()


STORAGE = storage([1.0, 2.0])
BOMBS = {
    "deep lists": b"\x80\x04" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "deep tuples as a key": b"\x80\x04}" + b")" + b"\x85" * 300_000 + b"Ns.",
    "deep tuples in a set": b"\x80\x04\x8f(" + b")" + b"\x85" * 300_000 + b"\x90.",
    "deep tuples as a storage": b"\x80\x02ctorch.storage\n_load_from_bytes\n)" + b"\x85" * 500_000 + b"\x85R.",
    "deep tuples as a name": b"\x80\x04)" + b"\x85" * 300_000 + b"\x8c\x01x\x93.",
    "lists that double": b"\x80\x04]\x94" + b"".join(b"](h%ch%ce\x94" % (n, n) for n in range(200)) + b"h\xc8\x93.",
    "deep lists as a geometry": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\n(B"
    + struct.pack("<I", len(STORAGE))
    + STORAGE
    + b"tR"
    + (b"]" * 9_999 + b"a" * 9_998) * 3
    + b"tR.",
    "a huge memo index": b"\x80\x04Nr\xff\xff\xff\xff.",
    "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",
    "a huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "a huge frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b".",
    "a huge number": b"\x80\x02I" + b"9" * 100_000 + b"\n.",
    "nothing on the stack": b"\x80\x04.",
    "no end": b"\x80\x04N",
    "nothing": b"",
    "text": b"a text, and no pickle",
    "a zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_fizzle(tmp_path, name):
    path = tmp_path / "x.pkl"
    path.write_bytes(BOMBS[name])
    with pytest.raises(DataError):
        read_official(path)


class Tensor:
    """A pickled tensor with a geometry of one's choice."""

    def __init__(self, offset, size, stride):
        self.geometry = offset, size, stride

    def __reduce__(self):
        data = Call(torch.storage._load_from_bytes, STORAGE)
        return torch._utils._rebuild_tensor_v2, (data, *self.geometry, False, OrderedDict())


@pytest.mark.parametrize(
    "geometry",
    [(0, (3,), (1,)), (2, (1,), (1,)), (-1, (1,), (1,)), (1, (2,), (-1,)), (0, (1 << 40,), (0,)), (0, (2, 2), (1, 1))],
)
def test_tensors_beyond_their_storage_are_refused(tmp_path, geometry):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(Tensor(*geometry)))
    with pytest.raises(DataError, match="torn"):
        read_official(path)
    path.write_bytes(pickle.dumps(Tensor(1, (1,), (1,))))
    with pytest.raises(DataError, match="holds no G"):
        read_official(path)


def text(value):
    """The opcode that pushes a text."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def test_modules_in_a_circle_are_refused(tmp_path):
    """{"children": {}, "G": a module with these children, "D": the children, in which the module now is, "G_ema": …}"""
    state = b"}(" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + b"h\x00u"
    meta = b"}(" + text("class_name") + text("Generator") + text("state") + state + b"u"
    module = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n" + meta + b"\x85Rq\x01"
    items = text("children") + b"}q\x00" + text("G") + module
    items += text("D") + b"h\x00" + text("again") + b"h\x01s" + text("G_ema") + b"N"
    path = tmp_path / "circle.pkl"
    path.write_bytes(b"\x80\x02}(" + items + b"u.")
    with pytest.raises(DataError, match="contain each other"):
        read_official(path)


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(DataError, match="no file"):
        read_official(tmp_path / "absent.pkl")
    with pytest.raises(DataError, match="torn"):
        read_official(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_bytes_are_errors_or_numbers(files, tmp_path, data):
    content = bytearray(files["small.pkl"].read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "flipped.pkl"
    path.write_bytes(content)
    try:
        snapshot = read_official(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        Generator(**snapshot.G_ema.arguments).load_state_dict(snapshot.G_ema.state)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_cut_files_are_refused(files, tmp_path, part):
    content = files["small.pkl"].read_bytes()
    (tmp_path / "cut.pkl").write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match="torn"):
        read_official(tmp_path / "cut.pkl")
