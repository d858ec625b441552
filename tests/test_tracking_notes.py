"""What MLflow's pages say, from the content of metrics.json."""

import copy

import pytest

from depthmask.tracking import notes
from tracked import METRICS, card

FIRST = {"mask_iou": 0.8, "depth_delta1": 0.7, "depth_abs_rel": 0.16}


def test_metrics_begin_with_the_headline():
    metrics = notes.run_metrics(METRICS, "a", "0")
    assert {f"headline/{name}": value for name, value in FIRST.items()}.items() <= metrics.items()
    assert metrics["headline/leak_gap"] == 0.0412345
    assert metrics["test/seen_seen/depth_abs_rel"] == 0.32
    assert min(name.rpartition("/")[0] for name in [*metrics, "train/", "val/"]) == "headline"
    assert not any("depth" in name for name in notes.run_metrics(METRICS, "c", "0")), "mask alone"
    assert notes.run_metrics(METRICS, "b", "4")["headline/mask_iou"] == 0.85, "a seed's own"


@pytest.mark.parametrize(
    "name, seed, best, place, verdict, run_name",
    [
        ("a", 0, "yes", "1 of 3", "best, tied with b", "a"),
        ("b", 4, "no", "2 of 3", "tied with the best by -0.010 (-0.022 to +0.002)", "b, seed 4"),
        ("c", 0, "no", "–", "not compared: a mask alone, or a figure is no number", "c"),
        ("d", 0, "no", "3 of 3", "behind the best by -0.100 (-0.150 to -0.050)", "d"),
    ],
)
def test_tags_say_how_a_run_compares(name, seed, best, place, verdict, run_name):
    tags = notes.run_tags(card(name, seed), METRICS)
    assert (tags["best"], tags["place"], tags["verdict"]) == (best, place, verdict)
    assert (tags["mlflow.runName"], tags["seed"]) == (run_name, str(seed))
    assert tags["loss.mask"] == "bce + 2.5·dice" and tags["loss.depth"] == "2·ssim"
    assert (tags["source"], tags["depth_unit"]) == ("museum", "metre")
    known = notes.run_tags(card(name, seed))  # when it begins
    assert known == {key: tags[key] for key in known} | {"mlflow.runName": name}
    assert "verdict" not in known
    assert tags["mlflow.note.content"] == f"**{name}**, seed {seed}: {verdict}. Data `feed`."


def test_an_experiment_may_be_ahead_and_another_seed_is_not_the_best():
    metrics = copy.deepcopy(METRICS)
    metrics["verdict"] |= {"ties": [], "ahead": ["b"]}
    lead = {"difference": -0.03, "low": -0.05, "high": -0.01}
    metrics["verdict"]["differences"]["b"]["score"] = lead
    assert notes.verdict_words(metrics, "b") == "ahead of the best by +0.030 (+0.010 to +0.050)"
    assert notes.verdict_words(metrics, "a") == "best"
    lead |= {"low": None, "high": None}
    assert notes.verdict_words(metrics, "b") == "not told from the best: too few scenes"
    metrics |= {"best": "b", "best_seed": 4}
    assert notes.run_tags(card("b", 3), metrics)["best"] == "no"
    assert notes.run_tags(card("b", 4), metrics)["best"] == "yes"
