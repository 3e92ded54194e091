"""The study's parameters as plain data: the pipelines' signatures, their help and the shell are made from them.

Importing this needs no KFP. A group of options ({} = the profile's, and then the defaults) is one parameter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from components.core.options.profiles import NO_PROFILE, profile_names
from components.core.options.shared import SharedOptions


@dataclass(frozen=True)
class Parameter:
    """A parameter of the study.

    Attributes:
        name: Its name in KFP's form and in a shell.
        type: `str`, `int`, `list` or `dict`.
        default: Its value when nothing is stated; None = it must be stated.
        help: One or two plain sentences.
        literals: The values it may have; empty = any. KFP's form shows them as a list to choose from.
        is_pool: Whether it says where pods run, which matters on a cluster only.
    """

    name: str
    type: type
    default: Any
    help: str
    literals: tuple[str, ...] = ()
    is_pool: bool = False


def _group(name: str, subject: str) -> Parameter:
    return Parameter(name, dict, {}, f"Options of {subject}, for example {_EXAMPLES[name]}; {{}} = the profile's.")


_EXAMPLES = {
    "tile": '{"tile_px": 512, "study_mpp": 0.5}',
    "split": '{"arms": ["none", "bi100", "bi100-real"], "folds": 5, "classifier_seeds": 3}',
    "gan": '{"kimg": 25000, "augment": "ada"}',
    "selection": '{"rule": "kid_held_out"}',
    "generation": '{"psi": 1.0}',
    "classifier": '{"backbone": "efficientnet_lite0", "epochs": 500}',
    "evaluation": '{"batch": 128}',
    "umap": '{"extractor": "resnet50"}',
    "report": '{"title": "Thyroid, two hospitals"}',
    "shared": '{"checkpoint_uri": "s3://bucket/checkpoints"}',
}

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("source", str, None, "Folder or s3://bucket/prefix with the study's own images."),
    Parameter(
        "labels",
        str,
        "",
        "Labels of the source: StyleGAN dataset.json, Thy-GAN labels with `meta`, or a CSV with the columns file, "
        "class, patient, diagnosis, and if there are any site and case. Empty = found in the folder.",
    ),
    Parameter("site", str, "", "Name of the source's site where its labels have none; empty = the folder's name."),
    Parameter("external", list, [], "Folders with the images of other hospitals; they are only ever evaluated."),
    Parameter(
        "external_labels",
        list,
        [],
        "Labels of each external folder, in the folders' order; empty = found in the folders.",
    ),
    Parameter(
        "external_site",
        list,
        [],
        "Site of each external folder, in the folders' order, where its labels have none; empty = the folders' names.",
    ),
    Parameter(
        "mpp",
        dict,
        {},
        'Micrometres per pixel of each site, {"SITE": "0.62"}; "metadata" = what each slide says, "unknown" = the site '
        "is not resampled, and marked.",
    ),
    Parameter(
        "profile",
        str,
        NO_PROFILE,
        "Named set of options, over which the groups below are laid; none = the defaults.",
        literals=(NO_PROFILE, *profile_names()),
    ),
    Parameter("seed", int, 0, "Seed from which every random draw follows."),
    _group("tile", "the tiles and the data behind them"),
    _group("split", "the folds, the arms and the study plan"),
    _group("gan", "each GAN's training"),
    _group("selection", "the selection of a snapshot"),
    _group("generation", "the synthetic tiles"),
    _group("classifier", "each classifier's training"),
    _group("evaluation", "the external evaluation"),
    _group("umap", "the UMAP and the domain gap"),
    _group("report", "the report"),
    _group("shared", "several stages: feature network, weights, device, checkpoints, statements on leakage"),
    Parameter(
        "gpu_type",
        str,
        "nvidia.com/gpu",
        "Resource name of a GPU, for example nvidia.com/gpu or nvidia.com/mig-3g.40gb.",
        is_pool=True,
    ),
    Parameter("gpu_count", str, "1", 'GPUs of each stage that computes on one; "0" = none.', is_pool=True),
    Parameter(
        "train_gpu_count",
        str,
        "1",
        'GPUs of each GAN training, on one node; they share each batch. "0" where train_job trains elsewhere.',
        is_pool=True,
    ),
    Parameter(
        "gpu_node_selector",
        dict,
        {},
        'Labels of the nodes for stages with a GPU: {"thygan/pool": "gpu"}.',
        is_pool=True,
    ),
    Parameter(
        "gpu_affinity",
        dict,
        {},
        "Kubernetes' NodeAffinity for the same stages, where labels are not enough.",
        is_pool=True,
    ),
    Parameter(
        "gpu_tolerations",
        list,
        [],
        "Taints of the GPU nodes that these stages tolerate, beside nvidia.com/gpu.",
        is_pool=True,
    ),
    Parameter("cpu_node_selector", dict, {}, "Labels of the nodes for the other stages.", is_pool=True),
    Parameter(
        "spot_tolerations",
        list,
        [],
        "Taints of nodes that can be taken away, tolerated by stages that are short or resume from a checkpoint; with "
        "a checkpoint_uri that is every stage.",
        is_pool=True,
    ),
)
POOLS: tuple[str, ...] = tuple(one.name for one in PARAMETERS if one.is_pool)


def parameter_types(names: Iterable[str]) -> dict[str, type]:
    """The types of some parameters: name -> type."""
    types = {one.name: one.type for one in PARAMETERS}
    return {name: types[name] for name in names}


def parameters_with(defaults: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The study's parameters with other defaults: name -> default."""
    return tuple(replace(one, default=defaults.get(one.name, one.default)) for one in PARAMETERS)


def uses_one_generator(shared: SharedOptions) -> bool:
    """Whether options ask for Thy-GAN's protocol, the pipeline `published`: one generator for all folds."""
    return shared.published and shared.allow_leakage
