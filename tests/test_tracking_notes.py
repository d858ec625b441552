"""What MLflow's pages say, from the content of metrics.json."""

import copy

import pytest
from depthmask.tracking.comparison import _MAX_NOTE_LENGTH
from depthmask.tracking.run_copy import MAX_TAG_LENGTH

from depthmask.tracking import notes

MASK = {"mask_iou": 0.8, "mask_dice": 0.9, "mask_boundary_f": 0.85}
BOTH = MASK | {
    "depth_abs_rel": 0.16,
    "depth_delta1": 0.7,
    "depth_ssim": 0.6,
    "person_distance_error": 0.3766547,
}


def sets(figures: dict) -> dict:
    return {"in_scene": figures, "seen_seen": {name: 2 * value for name, value in figures.items()}}


METRICS = {
    "best": "a",
    "best_seed": 0,
    "rule": "highest mean",
    "ranking": ["a", "b", "d"],
    "unit": "metre",
    "data": "feed",
    "headline": {"set": "in_scene", **BOTH},
    "verdict": {
        "sentence": "a is chosen; b ties with it.",
        "best": "a",
        "runner_up": "b",
        "ties": ["b"],
        "ahead": [],
        "differences": {
            "b": {"score": {"difference": 0.01, "low": -0.002, "high": 0.022}},
            "d": {"score": {"difference": 0.1, "low": 0.05, "high": 0.15}},
        },
    },
    "experiments": {"b": sets(BOTH), "a": sets(BOTH), "c": sets(MASK), "d": sets(BOTH)},
    "seeds": {
        "a": {"0": sets(BOTH)},
        "b": {"3": sets(BOTH | {"mask_iou": 0.75}), "4": sets(BOTH | {"mask_iou": 0.85})},
        "c": {"0": sets(MASK)},
        "d": {"0": sets(BOTH)},
    },
    "spread": {"b": sets(dict.fromkeys(BOTH, 0.05))},
    "intervals": {
        name: sets({metric: [0.1, 0.9] for metric in BOTH}) for name in ("a", "b", "c", "d")
    },
    "leak": {
        name: {"mask_iou": {"gap": gap, "low": gap - 0.01, "high": gap + 0.01}}
        for name, gap in (("a", 0.0412345), ("b", -0.03), ("c", 0.0), ("d", 0.1))
    },
    "baselines": {"constant_depth": {"in_scene": {"depth_delta1": 0.3}}},
    "level": 0.95,
}
CARD = {
    "model": "depthmasknet8",
    "losses": {"mask": {"bce": 1, "dice": 2.5}, "depth": {"ssim": 2}},
    "source": "museum",
    "unit": "metre",
    "seed": 0,
}


def plain(note: str) -> str:
    """Without the space that parts MLflow's columns."""
    assert "&ensp; |" in note
    return note.replace("&ensp;", "")


def view(name: str, **card) -> notes.RunView:
    return notes.run_view(METRICS, name, CARD | card)


def test_metrics_are_in_panels_of_which_the_headline_is_the_first():
    metrics = view("a").metrics
    headline = {k: v for k, v in metrics.items() if k.startswith("headline/")}
    assert headline == {
        "headline/mask_iou": 0.8,
        "headline/depth_delta1": 0.7,
        "headline/depth_abs_rel": 0.16,
        "headline/person_distance_error": 0.3767,
        "headline/leak_gap": 0.0412,
    }
    assert metrics["leak/mask_iou"] == 0.0412345
    assert metrics["test/seen_seen/depth_abs_rel"] == 0.32
    panels = {name.rpartition("/")[0] for name in metrics} | {"train", "val"}
    assert sorted(panels)[0] == "headline"
    assert set(view("c", losses={"mask": {"bce": 1}, "depth": None}).metrics) == {
        "headline/mask_iou",
        "headline/leak_gap",
        "leak/mask_iou",
        *(f"test/{name}/{metric}" for name in ("in_scene", "seen_seen") for metric in MASK),
    }


def test_a_seed_has_its_own_figures():
    assert view("b", seed=4).metrics["headline/mask_iou"] == 0.85
    assert view("b", seed=4).metrics["test/in_scene/mask_iou"] == 0.85


def test_relative_depth_shows_its_similarity_and_no_metres():
    relative = copy.deepcopy(METRICS) | {"unit": "relative"}
    del relative["headline"]["person_distance_error"]
    metrics = notes.run_view(relative, "a", CARD | {"unit": "relative"}).metrics
    assert metrics["headline/depth_ssim"] == 0.6
    assert "headline/person_distance_error" not in metrics
    assert ", m" not in notes.comparison_note(relative)


@pytest.mark.parametrize(
    "name, seed, best, rank, verdict, run_name",
    [
        ("a", 0, "yes", "1 of 3", "best, tied with b", "a"),
        ("b", 4, "no", "2 of 3", "tied (-0.022 to +0.002) with the best", "b, seed 4"),
        ("c", 0, "no", "–", "not ranked: a mask alone", "c"),
        ("d", 0, "no", "3 of 3", "0.100 (0.050 to 0.150) behind the best", "d"),
    ],
)
def test_tags_say_how_a_run_compares(name, seed, best, rank, verdict, run_name):
    tags = view(name, seed=seed).tags
    assert (tags["best"], tags["rank"], tags["verdict"]) == (best, rank, verdict)
    assert (tags["mlflow.runName"], tags["seed"]) == (run_name, str(seed))
    assert tags["loss.mask"] == "bce + 2.5·dice" and tags["loss.depth"] == "2·ssim"
    assert "mlflow.runColor" not in tags
    coloured = notes.run_view(METRICS, name, CARD | {"seed": seed}, "#0072b2").tags
    assert coloured["mlflow.runColor"] == "#0072b2"
    assert (tags["model"], tags["source"], tags["depth_unit"]) == (
        "depthmasknet8", "museum", "metre",
    )  # fmt: skip


def test_an_experiment_may_be_ahead_and_another_seed_is_not_the_best():
    metrics = copy.deepcopy(METRICS)
    metrics["verdict"] |= {"ties": [], "ahead": ["b"]}
    metrics["verdict"]["differences"]["b"]["score"] = {
        "difference": -0.03, "low": -0.05, "high": -0.01,
    }  # fmt: skip
    assert notes.verdict_words(metrics, "b") == "0.030 (0.010 to 0.050) ahead of the best"
    assert notes.verdict_words(metrics, "a") == "best"
    metrics |= {"best": "b", "best_seed": 4}
    assert notes.run_view(metrics, "b", CARD | {"seed": 3}).tags["best"] == "no"
    assert notes.run_view(metrics, "b", CARD | {"seed": 4}).tags["best"] == "yes"


def test_a_note_begins_with_the_place_and_shows_figures_with_intervals():
    lines = plain(view("a").tags["mlflow.note.content"]).splitlines()
    assert lines[0] == "**a is chosen; b ties with it.**"
    assert "depthmasknet8; mask: bce + 2.5·dice; depth: 2·ssim; seed 0; data `feed`." in lines
    assert "| in_scene | this run | 95 % interval |" in lines
    assert "| mask IoU ↑ | 0.800 | 0.100 to 0.900 |" in lines
    assert "| distance error, m ↓ | 0.377 | 0.100 to 0.900 |" in lines
    assert lines[-1].endswith("unseen pairs: +0.041 (+0.031 to +0.051).")
    several = plain(view("b", seed=4).tags["mlflow.note.content"])
    assert several.startswith("**b** ranks 2 of 3 on validation, and on `in_scene` it is tied")
    assert "seed 4 of 3, 4;" in several
    assert "| mask IoU ↑ | 0.850 | 0.800 ± 0.050 | 0.100 to 0.900 |" in several
    alone = view("c").tags["mlflow.note.content"]
    assert alone.startswith("**c** is not ranked: a mask alone.") and "depth" not in alone[-200:]


def test_the_comparison_lists_the_ranked_the_others_and_the_baselines():
    lines = plain(notes.comparison_note(METRICS)).splitlines()
    assert lines[0] == "**a is chosen; b ties with it.**"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    assert [row[:2] for row in rows[2:]] == [
        ["1", "**a**"], ["2", "b"], ["3", "d"], ["", "c"], ["", "_constant_depth_"],
    ]  # fmt: skip
    assert len({len(row) for row in rows}) == 1
    assert rows[2][2:] == [
        "0.800 (0.100 to 0.900)",
        "0.700 (0.100 to 0.900)",
        "0.160 (0.100 to 0.900)",
        "0.377 (0.100 to 0.900)",
        "+0.041",
    ]
    assert rows[-1][2:] == ["–", "0.300", "–", "–", ""]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_figure_that_is_none_does_not_stop_a_note(value):
    metrics = copy.deepcopy(METRICS)
    metrics["experiments"]["a"]["in_scene"]["depth_abs_rel"] = value
    metrics["seeds"]["a"]["0"]["in_scene"]["depth_abs_rel"] = value
    metrics["intervals"]["a"]["in_scene"]["depth_abs_rel"] = [value, value]
    metrics["leak"]["a"]["mask_iou"] = dict.fromkeys(("gap", "low", "high"), value)
    assert "–" in notes.run_view(metrics, "a", CARD).tags["mlflow.note.content"]
    assert "| – " in notes.comparison_note(metrics)


def test_a_comparison_of_many_fits_mlflow_s_limits():
    metrics = copy.deepcopy(METRICS)
    names = [f"an_experiment_of_many_{number}" for number in range(40)]
    for part in ("experiments", "seeds", "intervals", "leak"):
        metrics[part] |= {name: metrics[part]["a"] for name in names}
    metrics["ranking"] += names
    assert len(notes.comparison_note(metrics)) < _MAX_NOTE_LENGTH
    assert len(view("b", seed=3).tags["mlflow.note.content"]) < MAX_TAG_LENGTH
