"""Numbers in words and digits for people: a value never rounds to 0 or 1 unless it is 0 or 1."""

_EXACT = 9  # decimals, and significant digits
_WIDE = 1.0  # width of an AUROC difference's interval: half of all that is possible


def fraction(value: float | None, digits: int = 3) -> str:
    """A number in 0..1 with so many decimals, more where it would round to 0 or 1; a dash where it is undefined."""
    if value is None or value != value:
        return "–"
    value = round(value, _EXACT)  # rounding errors of sums do not count as a difference
    while float(text := f"{value:.{digits}f}") in (0, 1) and value not in (0, 1) and digits < _EXACT:
        digits += 1
    return text


def significant(value: float | None, digits: int = 3) -> str:
    """A number to so many significant digits, large ones in full; a dash where there is none.

    A value below 1 is not written as 1: a share or an AUC of 0.9996 isn't perfect, so it gets the digits that show it.
    """
    if value is None or value != value:
        return "–"
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return significant(value, digits + 1) if abs(value) < 1 == abs(float(text)) and digits < _EXACT else text


def integer(value: int | None) -> str:
    """A whole number with commas between thousands; a dash where there is none."""
    return "–" if value is None else f"{value:,}"


def duration(seconds: float) -> str:
    """A time in the unit that people say it in: seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def p_value(p: float | None) -> str:
    """A p-value to 3 decimals, `<0.001` below that; a dash where there is none."""
    if p is None:
        return "–"
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"


def p_clause(p: float) -> str:
    """`p = 0.012` or `p < 0.001`."""
    return f"p < {p_value(p)[1:]}" if p < 0.0005 else f"p = {p_value(p)}"


def difference(value: float | None, low: float | None, high: float | None) -> str:
    """A difference in -1..1 with its interval, with a remark where it excludes next to nothing."""
    if value is None or low is None or high is None:
        return "not measured"
    if low <= -1 and high >= 1:
        return f"{value:+.3f} (too few patients for an interval)"
    wide = ", too wide to tell" if high - low > _WIDE else ""
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}{wide}]"


def relative(arm: float | None, baseline: float | None) -> str:
    """How much more than the baseline, in per cent of it."""
    return percent(arm / baseline - 1 if arm is not None and baseline else None)


def printable(text: str) -> str:
    """Text without the control characters of a terminal."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def percent(share: float | None) -> str:
    """A relative gain in per cent, with its sign; a dash where it is undefined."""
    return "–" if share is None else f"{100 * share:+.1f} %"
