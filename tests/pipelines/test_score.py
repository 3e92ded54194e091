"""`thygan score` as a user runs it: on files of both forms, on Thy-GAN's published predictions, on bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import thygan
from components.core.runtime.cli import execute
from pipelines.cli.app import app
from pipelines.cli.score_text import score_text

REFERENCE = Path(__file__).parents[2].parent / "shared/reference/thygan"
LOGS = REFERENCE / "logs"


def run(capsys, *arguments):
    execute(app, ["score", *map(str, arguments)])
    return capsys.readouterr().out


def score_json(capsys, *arguments):
    return json.loads(run(capsys, *arguments, "--json", "--resamples", 200))


def error_of(capsys, *arguments):
    """The sentence on standard error; nothing else is printed, and the status is not 0."""
    with pytest.raises(SystemExit) as stopped:
        execute(app, ["score", *map(str, arguments)])
    printed = capsys.readouterr()
    assert printed.out == "" and stopped.value.code not in (0, None)
    return (printed.err or str(stopped.value.code)).strip()


def thygan_form(path, rows):
    """`patient, class, pred_class, pred_prob` rows as Thy-GAN writes them."""
    table = pd.DataFrame(rows, columns=["patient", "diagnosis", "class", "pred_class", "pred_prob"])
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    return path


def random_rows(seed, shift, patients=24, tiles=4):
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        label = patient % 2
        for p in 1 / (1 + np.exp(-rng.normal(shift * (label - 0.5), 1, tiles))):
            rows.append((f"P{patient}", ("FA", "PTC")[label], label, int(p > 0.5), max(p, 1 - p)))
    return rows


@pytest.fixture
def two(tmp_path):
    return [thygan_form(tmp_path / name / "test_preds.csv", random_rows(seed, shift))
            for name, seed, shift in (("baseline", 0, 1.0), ("with-gan", 1, 3.0))]  # fmt: skip


def test_json_has_the_promised_shape(capsys, two):
    told = score_json(capsys, *two)
    assert [one["file"] for one in told["files"]] == list(map(str, two))
    fractions = ("accuracy", "balanced_accuracy", "macro_f1", "sensitivity", "specificity", "auroc", "brier", "ece")
    for one in told["files"]:
        assert (one["patients"], one["tiles"]) == (24, 96) and one["ties"] == sorted(one["ties"])
        assert all(0 <= one[name] <= 1 for name in fractions) and -1 <= one["kappa"] <= 1
        assert {"always class 0", "always class 1"} == {row["arm"] for row in one["constants"]}
        for name, (low, high) in one["intervals"].items():
            assert low <= one[name] <= high, name
    (compared,) = told["comparisons"]
    assert (compared["baseline"], compared["arm"]) == tuple(map(str, two))
    assert {"mcnemar_p", "delong_p", "auroc_difference", "endpoint_difference", "reason"} <= set(compared)
    assert compared["verdict"] in ("better", "worse", "not shown", "underpowered")
    assert told["label_conflicts"] == []


def test_votes_change_classes_but_not_the_score(capsys, tmp_path):
    rows = [("A", "", 1, 1, 0.55), ("A", "", 1, 1, 0.55), ("A", "", 1, 0, 0.95), ("B", "", 0, 0, 0.9)]
    file = thygan_form(tmp_path / "a.csv", rows)
    by_vote, by_mean = (score_json(capsys, file, "--vote", vote)["files"][0] for vote in ("majority", "probability"))
    assert (by_vote["accuracy"], by_mean["accuracy"]) == (1.0, 0.5)
    assert by_vote["brier"] == by_mean["brier"] and by_vote["auroc"] == by_mean["auroc"]


def test_a_label_conflict_is_listed_and_each_file_keeps_its_own(capsys, tmp_path):
    rows = random_rows(0, 2.0)
    first = thygan_form(tmp_path / "a.csv", rows)
    second = thygan_form(tmp_path / "b.csv", [(p, d, 1 - c if p == "P3" else c, *rest) for p, d, c, *rest in rows])
    told = score_json(capsys, first, second)
    assert told["label_conflicts"] == ["P3"]
    assert [one["conflicting_labels"] for one in told["files"]] == [{"P3": 1}, {"P3": 0}]
    assert [one["positives"] for one in told["files"]] == [12, 11]
    assert told["comparisons"][0]["mcnemar_gained"] == told["comparisons"][0]["mcnemar_lost"] == 0
    assert "LABELS DIFFER: case P3 is 1 in a.csv, 0 in b.csv" in run(capsys, first, second, "--resamples", 200)


def test_folds_are_pooled_as_one_arm(capsys, tmp_path):
    rows = random_rows(0, 2.0)
    whole = thygan_form(tmp_path / "whole.csv", rows)
    parts = [thygan_form(tmp_path / f"{i}.csv", [row for row in rows if int(row[0][1:]) % 6 in of])
             for i, of in enumerate([(0, 1), (2, 3, 4, 5)])]  # fmt: skip
    told = score_json(capsys, whole, f"pooled={parts[0]},{parts[1]}")["files"]
    assert told[1]["file"] == "pooled" and told[1]["sources"] == list(map(str, parts))
    same = ("patients", "tiles", "accuracy", "auroc", "brier", "kappa", "ties")
    assert [told[0][name] for name in same] == [told[1][name] for name in same]
    assert told[1]["auroc_within_folds"] != told[0]["auroc_within_folds"]


def test_a_file_with_several_arms_is_taken_apart(capsys, tmp_path):
    tables, columns = [], ["patient", "diagnosis", "class", "pred_class", "pred_prob"]
    for arm, shift in (("bi100", 3.0), ("none", 1.0), ("bi100-real", 1.0)):
        table = pd.DataFrame(random_rows(1, shift), columns=columns)
        tables.append(table.assign(arm=arm, site="there", seed=0))
    path = tmp_path / "external-predictions.csv"
    pd.concat(tables).to_csv(path, index=False)
    told = score_json(capsys, path)
    assert [one["file"] for one in told["files"]] == ["none", "bi100", "bi100-real"]
    helped = {one["arm"]: one["gan_tiles_help"] for one in told["comparisons"]}
    assert helped["bi100"] in (True, False) and helped["bi100-real"] is None
    assert "has the arms bi100, none, bi100-real: name it alone" in error_of(capsys, f"x={path}")


def test_sites_without_patients_are_named_and_left_out(capsys, tmp_path):
    table = pd.DataFrame(random_rows(1, 1.0), columns=["patient", "diagnosis", "class", "pred_class", "pred_prob"])
    path = tmp_path / "p.csv"
    pd.concat([table.assign(site="there"), table.assign(site="Turin", patient="")]).to_csv(path, index=False)
    (one,) = score_json(capsys, path)["files"]
    assert one["tile_level_sites"] == ["Turin"] and one["patients"] == 24
    assert [row["site"] for row in one["by_site"]] == ["there"]


def test_text_shows_constants_ties_diagnoses_and_the_verdict(capsys, two):
    text = run(capsys, *two, "--resamples", 200)
    assert "always 0 (12 of 24 are)" in text and "always 1 (12 of 24 are)" in text
    assert "PTC, class 1" in text and "with-gan against baseline: " in text and "McNemar" in text


def test_nothing_that_a_terminal_obeys_is_printed(capsys, tmp_path):
    rows = [(f"{p}\x1b[31m", f"{d}\x07", *rest) for p, d, *rest in random_rows(0, 0.0)]
    assert "\x1b" not in error_of(capsys, thygan_form(tmp_path / "a.csv", rows))
    told = score_json(capsys, thygan_form(tmp_path / "b.csv", random_rows(0, 0.0)))
    told["files"][0]["ties"] = ["P1\x1b[31m"]
    told["files"][0]["by_diagnosis"][0]["diagnosis"] = "FA\x07"
    text = score_text(told)
    assert "P1\ufffd[31m" in text and "\x1b" not in text and "\x07" not in text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.csv", None, "absent.csv cannot be read as a prediction CSV"),
        ("picture.csv", b"\x89PNG\xff\xfe\x00", "picture.csv cannot be read as a prediction CSV"),
        ("other.csv", b"a,b\n1,2\n", "it lacks patient, class, pred_class"),
        ("two.csv", b"patient,class,pred_class,pred_prob\nA,1,1,.9\nA,0,0,.9\n", "two.csv: Case 'A' has 2 classes"),
        ("no.csv", b"patient,class,pred_class,pred_prob\n,1,1,.9\n", "no.csv: No prediction has a patient"),
    ],
)
def test_bad_files_are_one_sentence(capsys, tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    message = error_of(capsys, path, "--json")
    assert said in message and message.startswith("error: ") and "\n" not in message


def test_wrong_arguments_are_refused(capsys, two):
    assert "names no arm: write FILE, or NAME=FILE,FILE" in error_of(capsys, f"={two[0]}")
    assert "Two arms are called 'a'" in error_of(capsys, f"a={two[0]}", f"a={two[1]}")
    assert "Case 'P0' is in" in error_of(capsys, f"a={two[0]},{two[1]}")
    assert "--resamples 5 is too few" in error_of(capsys, two[0], "--resamples", 5)
    assert "--relevant-difference is 0: give a number above 0" in error_of(capsys, two[0], "--relevant-difference", 0)


# --- Thy-GAN's published predictions; the rows are those of its README here and of its own logs


def published_rows():
    """Set -> cells of the README's table."""
    if not REFERENCE.is_dir():
        return {}
    lines = (REFERENCE / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    return {row[0]: row for row in rows if ("/" in row[0] and row[1].isdigit()) or row[0][:1].isdigit()}


def file_of(name):
    (found,) = [one for one in LOGS.rglob("test_preds.csv") if name in one.as_posix()]
    return found


@pytest.fixture(scope="module")
def rows():
    found = published_rows()
    if not found:
        pytest.skip("skipped: no ../shared/reference/thygan")
    assert len(found) == 18
    return found


def test_the_published_rows_are_reproduced(capsys, rows):
    files = [file_of(name) for name in rows]
    by_vote, by_mean = (
        json.loads(run(capsys, *files, "--json", "--resamples", 100, "--vote", vote))["files"]
        for vote in ("majority", "probability")
    )
    for (name, row), vote, mean in zip(rows.items(), by_vote, by_mean, strict=True):
        _, images, patients, accuracy, log, f1, log_f1, _, mean_accuracy, ties = row
        assert (vote["tiles"], vote["patients"]) == (int(images), int(patients)), name
        right, share = accuracy.split(" = ")
        assert f"{round(vote['accuracy'] * vote['n'])}/{vote['n']}" == right == log, name
        assert vote["accuracy"] == pytest.approx(float(share) / 100, abs=5.1e-5), name
        assert vote["macro_f1"] == pytest.approx(float(f1) / 100, abs=5.1e-5), name
        assert f"{round(mean['accuracy'] * mean['n'])}/{mean['n']}" == mean_accuracy, name
        assert sorted(vote["ties"]) == sorted(one for one in ties.replace(" ", "").split(",") if one != "-"), name
        slip = name == "2_bi200_49.28"  # its log says 45.47 where its predictions give 45.57
        assert log_f1 == "-" or (float(log_f1) == float(f1)) is not slip, name


def pooled_argument(name, folder):
    return f"{name}={','.join(map(str, sorted((LOGS / folder).rglob('test_preds.csv'))))}"


def test_the_published_cross_validation_is_reproduced(capsys, rows):
    told = score_json(
        capsys,
        pooled_argument("none", "0_Tharun-Thompson_5F-CV_Eval/0_cross_val_baseline"),
        pooled_argument("bi100", "0_Tharun-Thompson_5F-CV_Eval/1_cross_val_bi100"),
    )
    printed = {
        "none": {"auroc": 0.885, "macro_f1": 0.836, "sensitivity": 0.747, "specificity": 0.918, "brier": 0.129},
        "bi100": {"auroc": 0.949, "macro_f1": 0.883, "sensitivity": 0.845, "specificity": 0.918, "brier": 0.095},
    }
    for one in told["files"]:
        expected = printed[one["file"]]
        assert {name: one[name] for name in expected} == pytest.approx(expected, abs=5.5e-4)
    (compared,) = told["comparisons"]
    assert (compared["mcnemar_gained"], compared["mcnemar_lost"]) == (12, 5)
    assert f"{compared['mcnemar_p']:.2f}" == "0.14" and f"{compared['delong_p']:.4f}" == "0.0004"


def test_the_published_external_numbers_are_reproduced_and_their_disagreements_listed(capsys, rows):
    names = ["1_bi100_50.72", "2_bi200_49.28", "3_mc_76.81", "4_mc100_55.07"]
    told = score_json(capsys, *map(file_of, names))
    # accuracy, macro-F1, balanced accuracy, AUROC, sensitivity, specificity, Brier as printed
    printed = [
        (".507", ".457", ".519", ".429", ".50", ".54", ".359"),
        (".493", ".456", ".522", ".460", ".47", ".57", ".340"),
        (".768", ".434", ".482", ".453", ".96", ".00", ".186"),
        (".551", ".500", ".576", ".554", ".54", ".62", ".301"),
    ]
    keys = ("accuracy", "macro_f1", "balanced_accuracy", "auroc", "sensitivity", "specificity", "brier")
    for one, row in zip(told["files"], printed, strict=True):
        found = tuple(f"{one[key]:.{len(text) - 1}f}"[1:] for key, text in zip(keys, row, strict=True))
        assert found == row
    constant = told["files"][0]["constants"][1]
    assert (f"{constant['accuracy']:.3f}", f"{constant['macro_f1']:.3f}") == ("0.812", "0.448")
    assert told["label_conflicts"] == ["A4UQ"]
    assert [one["conflicting_labels"]["A4UQ"] for one in told["files"]] == [1, 0, 0, 1]


def test_python_scores_as_the_command_does(capsys, two):
    named = {"none": [two[0]], "bi100": [two[1]]}
    arguments = [f"{name}={files[0]}" for name, files in named.items()]
    assert thygan.score(named, resamples=200) == score_json(capsys, *arguments)
