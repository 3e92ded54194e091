"""The page, read as a reader would: its tables against an independent computation from the CSVs."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixture_study import ARMS, build, variant
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    f1_score,
    roc_auc_score,
)
from statsmodels.stats.proportion import proportion_confint

from components.report.stage import run

HOSTILE = "<script>alert(1)</script>"
ARM_MEANINGS = {"+100 % generated tiles in each binary class"}  # the list of arms, which has no numbers of theirs
ARM_ROWS = [*ARMS, "always other", "always PTC-like"]


class Reader(HTMLParser):
    """Collects tables by id, elements with the ids and classes that tests ask for, and references to other files."""

    def __init__(self):
        super().__init__()
        self.tables, self.classes, self.references, self.scripts = {}, [], [], 0
        self._table = self._row = self._cell = None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.classes += (attrs.get("class") or "").split()
        self.references += [attrs[name] for name in ("src", "href") if attrs.get(name)]
        self.scripts += tag == "script"
        if tag == "table":
            self._table = self.tables.setdefault(attrs.get("id") or f"table {len(self.tables)}", [])
        elif tag == "tr" and self._table is not None:
            self._row = []
            self._table.append(self._row)
        elif tag in ("td", "th") and self._row is not None:
            self._cell = ""
            self._row.append("")
        elif tag == "br" and self._cell is not None:
            self._row[-1] += " "

    def handle_endtag(self, tag):
        if tag == "table":
            self._table = self._row = None
        elif tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None and self._row:
            self._row[-1] += data


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def write_report(folder, **changes):
    """Page, Markdown and record of a study with these changes; and its arguments."""
    arguments = build(folder, variant(**changes))
    run(**arguments)
    texts = [(folder / f"report.{kind}").read_text() for kind in ("html", "md", "json")]
    return texts[0], texts[1], json.loads(texts[2]), arguments


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("report") / "study", demonstration=False)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Demonstration data, leaked, untrained, one seed, hostile names, nothing external."""
    return write_report(
        tmp_path_factory.mktemp("odd") / "study",
        diagnoses={"FA": 0, HOSTILE: 1},
        source_site=f"{HOSTILE} | site",
        source_mpp=None,
        title=HOSTILE,
        external=False,
        mark="LEAKED: 2 validation or test patient(s) seen by the generator",
        trained=False,
        seeds=(0,),
        published=True,
    )


def rows_of(page, table):
    """Arm -> cells of a performance table."""
    return {row[0].split("LEAKED")[0].strip(): row[1:] for row in read(page).tables[table][1:]}


def first_number(cell):
    return float(cell.split()[0])


def by_case(table):
    """Case -> class, vote and score, by means alone."""
    grouped = table.groupby(["patient", "case"])
    mean = grouped[["class", "pred_class", "prob_positive"]].mean()
    return mean.assign(vote=(mean["pred_class"] > 0.5).astype(int), truth=mean["class"].round().astype(int))


def expected(cases, auroc):
    truth, vote = cases["truth"], cases["vote"]
    return [
        (truth == vote).mean(),
        balanced_accuracy_score(truth, vote),
        f1_score(truth, vote, average="macro"),
        vote[truth == 1].mean(),
        1 - vote[truth == 0].mean(),
        auroc,
        brier_score_loss(truth, cases["prob_positive"]),
    ]


def test_cross_validation_numbers_follow_from_the_csvs(study):
    page, _, record, arguments = study
    table = pd.concat([pd.read_csv(path) for path in arguments["predictions"]])
    shown = rows_of(page, "cv")
    assert list(shown) == ARM_ROWS
    for arm in ARMS:
        own = table[table["arm"] == arm]
        folds = [by_case(rows) for _, rows in own.groupby("fold")]
        auroc = np.mean([roc_auc_score(one["truth"], one["prob_positive"]) for one in folds])
        numbers = expected(by_case(own), auroc)
        assert [first_number(cell) for cell in shown[arm][1:8]] == pytest.approx(numbers, abs=5e-4)
        assert record[f"cv_accuracy_{arm}"] == pytest.approx(numbers[0])
        assert record[f"cv_auroc_within_folds_{arm}"] == pytest.approx(auroc)
        assert shown[arm][0] == f"{own['patient'].nunique()} / {own['case'].nunique()}" == "16 / 17"


def test_external_numbers_follow_from_the_csv(study):
    page, _, record, arguments = study
    table = pd.read_csv(arguments["external_predictions"])
    table = table[table["site"] == "Nordhafen"]
    shown = rows_of(page, "external-0")
    for arm in ARMS:
        cases = by_case(table[table["arm"] == arm])
        numbers = expected(cases, roc_auc_score(cases["truth"], cases["prob_positive"]))
        assert [first_number(cell) for cell in shown[arm][1:8]] == pytest.approx(numbers, abs=5e-4)
        low, high = proportion_confint((cases["truth"] == cases["vote"]).sum(), len(cases), method="wilson")
        assert shown[arm][1].split()[1] == f"{low:.2f}–{high:.2f}"
        assert record[f"Nordhafen_auroc_{arm}"] == pytest.approx(numbers[5])


def test_tile_level_numbers_follow_from_the_csv_and_have_no_intervals(study):
    page, _, _, arguments = study
    table = pd.read_csv(arguments["external_predictions"])
    table = table[(table["site"] == "Turin") & (table["arm"] == "bi100")]
    tiles = table.groupby("tile")[["class", "prob_positive"]].mean()
    shown = rows_of(page, "external-1")["bi100"]
    assert shown[0] == str(len(tiles)) == "16"
    assert float(shown[1]) == pytest.approx(((tiles["prob_positive"] > 0.5) == tiles["class"]).mean(), abs=5e-4)
    assert float(shown[6]) == pytest.approx(roc_auc_score(tiles["class"], tiles["prob_positive"]), abs=5e-4)


def test_calibration_kappa_and_the_pooled_auroc_stand_beside(study):
    page, _, record, arguments = study
    table = pd.concat([pd.read_csv(path) for path in arguments["predictions"]])
    shown = rows_of(page, "cv")
    heads = read(page).tables["cv"][0]
    assert heads[8:12] == ["Brier", "ECE", "κ", "AUROC, folds pooled"]
    for arm in ARMS:
        cases = by_case(table[table["arm"] == arm])
        pooled = roc_auc_score(cases["truth"], cases["prob_positive"])
        kappa = cohen_kappa_score(cases["truth"], cases["vote"])
        assert [first_number(cell) for cell in shown[arm][9:11]] == pytest.approx([kappa, pooled], abs=5e-4)
        assert record[f"cv_auroc_{arm}"] == pytest.approx(pooled)


def test_diagnoses_are_counted_for_every_arm(study):
    page, _, _, arguments = study
    table = pd.read_csv(arguments["external_predictions"])
    table = table[table["site"] == "Nordhafen"]
    shown = [one for one in read(page).tables.values() if one[0][:2] == ["diagnosis", "class"] and "none" in one[0]]
    assert len(shown) == 2  # cross-validation, and the external site with patients
    for diagnosis, _, *cells in shown[1][1:]:
        for arm, cell in zip(ARMS, cells, strict=True):
            cases = by_case(table[(table["arm"] == arm) & (table["diagnosis"] == diagnosis)])
            assert cell.startswith(f"{(cases['vote'] == cases['truth']).sum()} of {len(cases)} ")


def test_seeds_stand_beside_the_baseline_s_of_the_same_seed(study):
    page, _, _, arguments = study
    table = pd.read_csv(arguments["external_predictions"]).query("site == 'Nordhafen'")
    by_seed = [one for one in read(page).tables.values() if one[0] == ["arm", "seed 0", "seed 1"]][-1]
    rows = {row[0]: row[1:] for row in by_seed[1:]}
    for seed in (0, 1):
        found = {}
        for arm in ("none", "bi100"):
            cases = by_case(table[(table["arm"] == arm) & (table["seed"] == seed)])
            found[arm] = roc_auc_score(cases["truth"], cases["prob_positive"])
        assert first_number(rows["none"][seed]) == pytest.approx(found["none"], abs=5e-4)
        assert rows["bi100"][seed].endswith(f"({found['bi100'] - found['none']:+.3f})")


def test_cards_are_part_of_the_page_and_run_nothing(study, odd):
    for page in (study[0], odd[0]):
        frames = re.findall(r"<iframe ([^>]*)>", page)
        assert frames and all(" sandbox " in f" {one.replace('srcdoc', ' srcdoc')} " for one in frames)
        assert not any("allow" in one.split("srcdoc")[0] for one in frames)
    assert "Data card: external sites" in study[0] and "Data card: external sites" not in odd[0]
    assert "Generator card: binary classes, fold all" in study[0] and "12345" in study[0]


def test_published_gains_stand_beside_what_the_predictions_give(odd, study):
    rows = next(table for table in read(odd[0]).tables.values() if table[0][0].startswith("gain over"))
    assert rows[1][1:3] == ["+44.0 %", "+52.5 %"]
    assert rows[2][1:3] == ["+35.7 %", "+42.3 %"]
    for text in odd[:2]:
        assert "do not reproduce the claimed gains" in text
    assert "+52.5 %" not in study[0] + study[1]


def test_the_constant_answers_stand_in_every_table(study, odd):
    performances = [name for name in read(study[0]).tables if re.fullmatch(r"cv|external-.*", name)]
    assert performances == ["cv", "external-0", "external-1"]
    for name in performances:
        shown = rows_of(study[0], name)
        assert first_number(shown["always PTC-like"][2]) == first_number(shown["always other"][2]) == 0.5
        assert first_number(shown["always PTC-like"][4]) == first_number(shown["always other"][5]) == 1
    truth = pd.read_csv(study[3]["external_predictions"]).query("site == 'Nordhafen'").groupby("case")["class"].first()
    assert first_number(rows_of(study[0], "external-0")["always PTC-like"][1]) == pytest.approx(truth.mean())
    assert {"always other", "always PTC-like"} <= set(rows_of(odd[0], "cv"))


def test_every_arm_has_one_verdict_and_its_sentence(study):
    page, markdown, record, _ = study
    verdicts = {arm: record[f"verdict_{arm}"] for arm in ARMS[1:]}
    assert set(verdicts.values()) <= {"better", "not shown", "worse", "underpowered"}
    for arm, verdict in verdicts.items():
        block = page.split(f'<div class="verdict {verdict.replace(" ", "-")}" data-arm="{arm}">')[1].split("</p>")[0]
        assert f"AUROC of {arm} minus none is" in block
        assert f"**{arm}: {verdict}**" in markdown.replace("\\", "")
    assert page.index('id="verdict"') < page.index('id="data"')


def test_demonstration_is_no_evidence(study, odd, tmp_path):
    assert "not evidence" not in study[0] + study[1]
    page, markdown, record, _ = write_report(tmp_path / "demo", demonstration=True)
    for one in (page, odd[0], markdown, odd[1]):
        assert "Demonstration, not evidence" in one
    for one in (record, odd[2]):
        assert {one[f"verdict_{arm}"] for arm in ARMS[1:]} == {"underpowered"}
    assert page.count("Demonstration data cannot be evidence.") == len(ARMS) - 1


@pytest.mark.parametrize("which", ["study", "odd"])
def test_patients_appear_as_pseudonyms_only(which, request):
    page, markdown, record, arguments = request.getfixturevalue(which)
    written = page + markdown + json.dumps(record)
    raw = set(pd.read_csv(arguments["manifest"])["patient"]) | {"RAWID", "RAWEXT"}
    assert raw and not [one for one in raw if one in written]
    assert re.search(r"P\d\d[ab,.<]", page)


def test_hostile_names_stay_text(odd, study):
    page, markdown, _, _ = odd
    assert HOSTILE not in page and HOSTILE not in markdown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "&lt;script&gt;alert(1)" in markdown
    assert f"<title>{HOSTILE.replace('<', '&lt;').replace('>', '&gt;')}</title>" in page
    assert read(page).scripts == read(study[0]).scripts


def test_a_leak_is_marked_wherever_the_arm_s_numbers_stand(odd, study):
    page, markdown, _, _ = odd
    tables = read(page).tables
    marked = [row for row in tables["cv"] if "LEAKED: 2 validation" in row[0]]
    assert len(marked) == 1 and marked[0][0].startswith("bi100")
    verdict = page.split('data-arm="bi100">')[1].split("</p>")[0]
    assert 'class="mark">LEAKED' in verdict
    assert "bi100 **[LEAKED: 2 validation" in markdown
    assert "LEAKED" not in study[0] + study[1]
    assert "cv_auroc_bi100_LEAKED_OR_TRUSTED" in odd[2] and "cv_auroc_bi100" not in odd[2]
    for name, table in tables.items():  # every number of the arm in the cross-validation stands beside a mark
        for row in table:
            if row and row[0].startswith("bi100") and not row[0].startswith("bi100-real") and name != "made":
                assert "LEAKED" in row[0] or row[1] in ARM_MEANINGS, row
    assert all("LEAKED" in head for table in tables.values() for head in table[0] if re.match(r"bi100(?!-real)", head))


def test_untrained_weights_are_said_in_red(odd, study):
    assert "UNTRAINED weights: efficientnet_lite0 at 224 px" in odd[0] and "UNTRAINED" in odd[1]
    assert "UNTRAINED" not in study[0] + study[1]


def test_unknown_magnification_stands_beside_the_site_s_numbers(odd, study):
    page, markdown, _, _ = study
    marked = re.findall(r"<(?:h3|td|th)[^>]*>[^<]*Turin[^<]*<span class=\"mark\">µm/px unknown</span>", page)
    assert len(marked) >= 1 + 1 + 2 + 4  # data, external, samples of both schemes, domain gap
    assert not re.search(r"Nordhafen[^<]*<span class=\"mark\">", page)
    assert "## Turin, tile level **[µm/px unknown]**" in markdown
    assert '<h2 id="cv">Cross-validation<span class="mark">µm/px unknown: &lt;script&gt;' in odd[0]
    assert '<h2 id="cv">Cross-validation</h2>' in page
    sites = next(table for table in read(odd[0]).tables.values() if table[0][-1] == "µm/px")
    assert sites[1][-1] == "unknown"


def test_nothing_comes_from_elsewhere(study, odd):
    for page in (study[0], odd[0]):
        references = read(page).references
        own = ("#", "data:image/png;base64,", "data:application/json;base64,")
        assert references and all(one.startswith(own) for one in references)
        assert "<link" not in page and "@import" not in page
    assert study[0].count("plotly.js v") <= 2  # the library stands in it once


def test_without_external_sites_the_page_says_so(odd):
    page, markdown, record, _ = odd
    assert "no external site" in page and "There is no external site" in markdown
    assert "external-0" not in read(page).tables
    assert not [name for name in record if name.startswith("auroc_difference")]


def test_absent_external_inputs_are_the_same_as_empty_ones(odd, tmp_path):
    absent = {"external_tiles": "", "external_labels": "", "external_predictions": "", "evaluation_record": ""}
    outputs = {name: str(tmp_path / name) for name in ("report", "verdict", "report_record")}
    run(**{**odd[3], **absent, "external_tile_record": "", **outputs})
    assert (tmp_path / "verdict").read_text() == odd[1]


def test_record_is_flat_and_finite(study, odd):
    for _, _, record, _ in (study, odd):
        scalars = {name: value for name, value in record.items() if name not in ("tables", "upstream")}
        assert all(isinstance(value, str | int | float) for value in scalars.values())
        assert record["tables"] == {}


def test_times_are_summed_over_tasks(study):
    table = next(table for table in read(study[0]).tables.values() if table[0][:2] == ["stage", "tasks"])
    rows = {row[0]: row[1:4] for row in table[1:]}
    assert rows["gan_train"] == ["8", "25 min", "3 min"]  # 2 schemes, 3 folds and `all`, 190 s each
    assert rows["tile"] == ["2", *rows["tile"][1:]]


def test_memorisation_and_chosen_snapshots_are_listed(study):
    page = study[0]
    table = next(table for table in read(page).tables.values() if "near-copies dropped" in table[0])
    assert [row[-1] for row in table[1:]] == ["2", "0", "0", "0"] * 2
    item = json.loads(Path(study[3]["fold_records"][0]).read_text())
    selection = next(one for one in item["upstream"] if one["stage"] == "fid_select")
    assert table[1][2:4] == [f"{selection['chosen_kimg']:.3g}", f"{selection['fid']:.3g}"]
    assert "FIDs of different extractors don't compare" in page
