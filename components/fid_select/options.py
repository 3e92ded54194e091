"""Options of fid_select: the group `selection`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "selection"
SHARED = ("extractor", "extractor_px", "weights_dir", "device")


@dataclass(frozen=True)
class SelectionOptions:
    """The group `selection`."""

    rule: str = option(
        "kid_held_out",
        "kid_held_out = lowest class-mean KID to the held-out tiles; fid_train = lowest FID to the training tiles.",
        choices=("kid_held_out", "fid_train"),
    )
    images: int = option(
        50000,
        "Images drawn from each fully measured snapshot, in the classes' shares of the data; the protocol has 50000.",
        low=1,
    )
    screening_images: int = option(
        2000,
        "Images of every snapshot in a first round by KID, after which only the shortlist is drawn in full; 0 = all "
        "snapshots are drawn in full.",
        low=0,
    )
    finalists: int = option(
        3, "Least number of fully measured snapshots; more where the first round cannot tell them apart.", low=1
    )
    cache_uri: str = option(
        "",
        "Folder or s3://bucket/prefix that caches features of tiles and snapshots, so that a killed selection resumes; "
        "empty = no cache.",
        affects_result=False,
    )
    batch: int = option(64, "Images per pass through a network.", low=1, affects_result=False)
