"""Both forms of a prediction CSV, and what is no such file."""

import pytest

from components.core.errors import DataError
from components.core.statistics.predictions import read_predictions

THYGAN = "patient,diagnosis,class,pred_class,pred_prob\nA,PTC,1,1,0.8\nA,PTC,1,0,0.7\n"
OURS = "tile,patient,case,site,diagnosis,class,pred_class,prob_positive,arm,fold,seed\nt,A,A1,s,PTC,1,1,0.8,none,2,7\n"


def read(folder, text):
    path = folder / "p.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_predictions(path)


def test_pred_prob_is_the_probability_of_the_predicted_class(tmp_path):
    table = read(tmp_path, THYGAN)
    assert table["prob_positive"].tolist() == pytest.approx([0.8, 0.3])
    assert (table["case"] == "A").all() and (table["seed"] == "0").all()


def test_our_form_is_read_as_it_is(tmp_path):
    row = read(tmp_path, "\ufeff" + OURS).iloc[0]
    assert row[["tile", "patient", "case", "site", "arm", "fold", "seed"]].tolist() == [
        "t", "A", "A1", "s", "none", "2", "7"]  # fmt: skip
    assert row["prob_positive"] == 0.8


def test_ids_stay_text(tmp_path):
    assert read(tmp_path, THYGAN.replace("A,PTC", "007,PTC"))["patient"].tolist() == ["007", "007"]


def test_both_probabilities_must_agree(tmp_path):
    head = "patient,class,pred_class,pred_prob,prob_positive\n"
    assert read(tmp_path, head + "A,1,0,0.7,0.3\n")["prob_positive"].tolist() == [0.3]
    with pytest.raises(DataError, match=r"row 1: prob_positive 0.7 contradicts pred_prob 0.7 of predicted class 0"):
        read(tmp_path, head + "A,1,0,0.7,0.7\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "it lacks patient, class, pred_class, prob_positive"),
        ("", "cannot be read as a prediction CSV"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "cannot be read as a prediction CSV"),
        (THYGAN.splitlines()[0] + "\n", "it has no rows"),
        (THYGAN.replace("PTC,1,1,0.8", "PTC,2,1,0.8"), "row 1: class is '2', not 0 or 1"),
        (THYGAN.replace("0.7", "1.7"), "row 2: pred_prob is '1.7', not a number in 0..1"),
        (THYGAN.replace("0.7", ""), "row 2: pred_prob is '', not a number in 0..1"),
        (THYGAN.replace("0.7", "nan"), "row 2: pred_prob is 'nan', not a number in 0..1"),
        (OURS + OURS.splitlines()[1] + "\n", "has tile 't' twice"),
    ],
)
def test_what_is_no_prediction_file_is_said(tmp_path, text, said):
    with pytest.raises(DataError) as error:
        read(tmp_path, text)
    assert said in str(error.value) and "p.csv" in str(error.value)
