"""Colours that stay apart for colour-blind readers (Okabe and Ito), and more where there are many patients."""

import colorsys

_OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#7A6A00", "#555555")


def colours(names: list[str]) -> dict[str, str]:
    """A hex colour for each name, in their order.

    Up to eight come from the fixed set; more are spread over the hues by the golden ratio, so that neighbours in the
    list differ.
    """
    if len(names) <= len(_OKABE_ITO):
        return dict(zip(names, _OKABE_ITO, strict=False))
    return {name: _golden_hue(index) for index, name in enumerate(names)}


def _golden_hue(index: int) -> str:
    channels = colorsys.hls_to_rgb(index * 0.618034 % 1.0, (0.42, 0.56)[index % 2], 0.62)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
