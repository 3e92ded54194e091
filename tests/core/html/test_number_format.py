"""Numbers as people read them."""

import pytest

from components.core.html.number_format import difference, fraction, p_clause, p_value, percent, printable, relative


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (1.0, "1.000"),
        (1 - 2e-16, "1.000"),
        (0.998, "0.998"),
        (0.9996, "0.9996"),
        (0.99999, "0.99999"),
        (0.0, "0.000"),
        (1e-17, "0.000"),
        (0.0004, "0.0004"),
        (-0.25, "-0.250"),
    ],
)
def test_a_fraction_rounds_to_0_or_1_only_where_it_is(value, text):
    assert fraction(value) == text


def test_two_decimals_do_not_make_one_of_0_998():
    assert fraction(0.998, 2) == "0.998" and fraction(0.99, 2) == "0.99"


def test_no_p_is_zero():
    assert (p_value(None), p_value(0.0004), p_value(0.0005), p_value(1.0)) == ("–", "<0.001", "0.001", "1.000")
    assert (p_clause(1e-9), p_clause(0.0312)) == ("p < 0.001", "p = 0.031")


def test_an_interval_that_says_little_is_not_shown_as_if_it_did():
    assert difference(0.1, 0.05, 0.15) == "+0.100 [+0.050, +0.150]"
    assert difference(0.1, -0.6, 0.8) == "+0.100 [-0.600, +0.800, too wide to tell]"
    assert difference(0.1, -1, 1) == "+0.100 (too few patients for an interval)"
    assert difference(None, None, None) == "not measured"


def test_gains_are_relative():
    assert (relative(0.5507, 0.4058), relative(0.4999, 0.3513)) == ("+35.7 %", "+42.3 %")
    assert relative(0.5, 0) == relative(None, 0.5) == percent(None) == "–"


def test_what_a_terminal_obeys_is_replaced():
    assert printable("a\x1b[31mé\n") == "a\ufffd[31mé\ufffd"
