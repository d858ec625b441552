"""What evaluate finds is what the training found."""

import math

import pytest

from depthmask.errors import InputError
from depthmask.evaluation.agreement import refuse_disagreement

CARD = {
    "experiment": "bce_rmse",
    "test": {"set": "in_scene", "device": "cpu", "figures": {"mask_iou": 0.8, "silog": 20.0}},
}


def test_the_same_figures_pass_in_silence(capsys):
    refuse_disagreement(CARD, {"mask_iou": 0.8 + 9e-7, "silog": 20.0 + 1e-5}, "cpu")
    assert capsys.readouterr().err == ""


def test_another_rounding_is_said_on_a_cpu_and_expected_of_a_gpu(capsys):
    found = {"mask_iou": 0.8 + 3e-5, "silog": 20.0}
    refuse_disagreement(CARD, found, "cuda")
    assert capsys.readouterr().err == ""
    refuse_disagreement(CARD, found, "cpu")
    assert "mask_iou 0.8 on in_scene, evaluate finds 0.80003" in capsys.readouterr().err


@pytest.mark.parametrize("found", [0.802, math.nan, -math.inf])
def test_another_network_is_refused(found):
    with pytest.raises(InputError, match="mask_iou .*dvc repro --force train@bce_rmse"):
        refuse_disagreement(CARD, {"mask_iou": found, "silog": 20.0}, "cpu")


def test_a_missing_figure_is_refused():
    with pytest.raises(InputError, match="silog"):
        refuse_disagreement(CARD, {"mask_iou": 0.8}, "cpu")


def test_answers_that_were_no_numbers_then_agree_with_those_that_are_none_now():
    card = CARD | {"test": CARD["test"] | {"figures": {"mask_iou": -math.inf}}}
    refuse_disagreement(card, {"mask_iou": -math.inf}, "cpu")
