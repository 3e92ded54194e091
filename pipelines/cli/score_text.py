"""What `thygan score` prints for people."""

from collections.abc import Sequence
from typing import Any

from components.core.html.number_format import difference, fraction, p_value, printable

Row = dict[str, Any]

_COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "macro_f1": "macro-F1",
    "sensitivity": "sens.",
    "specificity": "spec.",
    "auroc": "AUROC",
    "brier": "Brier",
    "ece": "ECE",
    "kappa": "kappa",
}
_INTERVALS = ("accuracy", "auroc")  # the others are in the JSON


def score_text(scores: Row) -> str:
    """Tables, notes and comparisons.

    Args:
        scores: Metrics and comparisons, as `compare_files` returns them.
    """
    blocks = [_table(_numbers(scores["files"]))]
    blocks += [
        _notes(scores),
        _groups(scores["files"], "by_site", "site"),
        _groups(scores["files"], "by_diagnosis", "diagnosis"),
    ]
    blocks += [_comparison(one, scores) for one in scores["comparisons"]]
    return "\n\n".join(block for block in blocks if block)


def _numbers(files: Sequence[Row]) -> list[list[str]]:
    rows = [["", "patients", "tiles", *_COLUMNS.values()]]
    for one in files:
        rows.append([one["short"], str(one["patients"]), str(one["tiles"]), *_cells(one, one["intervals"])])
    for (cases, positives), constants in {(one["n"], one["positives"]): one["constants"] for one in files}.items():
        for answer, constant in enumerate(constants):
            correct = positives if answer else cases - positives
            rows.append([f"always {answer} ({correct} of {cases} are)", "", "", *_cells(constant, {})])
    return rows


def _cells(one: Row, intervals: Row) -> list[str]:
    return [
        fraction(one[name])
        + (f" [{fraction(intervals[name][0], 2)}, {fraction(intervals[name][1], 2)}]" if _has(intervals, name) else "")
        for name in _COLUMNS
    ]


def _has(intervals: Row, name: str) -> bool:
    return name in _INTERVALS and name in intervals and intervals[name][0] is not None


def _notes(scores: Row) -> str:
    lines = [
        f"A case's class is its tiles' {scores['vote']} vote; AUROC, Brier and ECE come from its mean probability of "
        "class 1, whatever the vote."
    ]
    files = scores["files"]
    for (cases, positives), least in {(one["n"], one["positives"]): one["detectable_auroc"] for one in files}.items():
        what = f"an AUROC of {fraction(least)} or more is" if least else "no AUROC at all is"
        lines.append(
            f"With {positives} and {cases - positives} cases {what} distinguished from chance with 80 % power."
        )
    for one in files:
        if one["ties"]:
            lines.append(f"Ties in {one['short']}, class 0 by the rule: {', '.join(one['ties'])}.")
        if one["tile_level_sites"]:
            sites = ", ".join(site or "without a name" for site in one["tile_level_sites"])
            lines.append(f"{one['short']}: no patients at site {sites}, which is left out.")
    for case in scores["label_conflicts"]:
        labels = {one["short"]: one["conflicting_labels"].get(case) for one in files}
        classes = ", ".join(f"{label} in {short}" for short, label in labels.items() if label is not None)
        lines.append(f"LABELS DIFFER: case {case} is {classes}. A file keeps its own, comparisons use the baseline's.")
    return "\n".join(map(printable, lines))


def _groups(files: Sequence[Row], key: str, name: str) -> str:
    """Correct cases of every site or diagnosis, a column for each file; '' where there is only one."""
    groups = sorted({(row[name], row.get("class")) for one in files for row in one[key]})
    if len(groups) < 2:
        return ""
    rows = [[f"correct by {name}", *(one["short"] for one in files)]]
    for group in groups:
        cells = []
        for one in files:
            matches = [row for row in one[key] if (row[name], row.get("class")) == group]
            cells.append(_correct(matches[0]) if matches else "–")
        label = group[0] or "no name"
        rows.append([label if group[1] is None else f"{label}, class {group[1]}", *cells])
    return _table(rows)


def _correct(row: Row) -> str:
    if "correct" in row:
        return f"{row['correct']}/{row['cases']}"
    return f"{round(row['accuracy'] * row['n'])}/{row['n']}, AUROC {fraction(row['auroc'])}"


def _comparison(one: Row, scores: Row) -> str:
    short = {file["file"]: file["short"] for file in scores["files"]}
    lines = [f"{short[one['arm']]} against {short[one['baseline']]}: {one['verdict'].upper()}", f"  {one['reason']}"]
    if one["gan_tiles_help"] is not None:
        to_control = difference(one["control_difference"], one["control_low"], one["control_high"])
        shown = "is shown" if one["gan_tiles_help"] else "is not shown"
        lines.append(f"  That generated tiles help {shown}; the AUROC difference to the control is {to_control}.")
    if one["cases"]:
        approximate = ", both approximate: a patient has several cases" if one["approximate"] else ""
        lines.append(
            f"  secondary, {one['cases']} cases of both: McNemar {one['mcnemar_gained']}:{one['mcnemar_lost']}, "
            f"p {_equals(one['mcnemar_p'])}; DeLong p {_equals(one['delong_p'])}{approximate}"
        )
        for metric, name in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("auroc", "AUROC, all pairs")):
            ends = [one[f"{metric}_difference{end}"] for end in ("", "_low", "_high")]
            gain = one.get(f"{metric}_relative")
            more = "" if gain is None else f", {100 * gain:+.1f} % of the baseline's"
            lines.append(f"    {name} {difference(*ends)}{more}")
    return "\n".join(map(printable, lines))


def _equals(p: float | None) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what they hold, the first one to the left."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    )
