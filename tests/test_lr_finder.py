"""The learning-rate range test: it rises, it stops when the loss breaks off, it leaves no trace."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from depthmask.errors import InputError
from depthmask.training.lr_finder import find_rate
from depthmask.visualization.charts import rate_range
from depthmask.visualization.theme import save_png
from test_fitting import CPU, make_data, make_module


@pytest.fixture(scope="module")
def found():
    module, data = make_module(), make_data()
    data.fix_size(32)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    result = find_rate(
        module, data, hardware=CPU, min_lr=1e-5, max_lr=10.0, num_steps=60, interactive=False
    )
    same = [torch.equal(value, before[name]) for name, value in module.state_dict().items()]
    return result, all(same)


def test_rates_rise_in_equal_ratios_and_the_suggestion_lies_where_the_loss_falls(found):
    result, _ = found
    assert result.table["lr"].to_numpy()[0] == pytest.approx(1e-5, rel=0.5)
    ratios = result.table["lr"].to_numpy()[1:] / result.table["lr"].to_numpy()[:-1]
    assert np.allclose(ratios[1:-1], ratios[1], rtol=0.02) and ratios[1] > 1
    assert result.suggested in result.table["lr"].to_numpy()
    place = list(result.table["lr"].to_numpy()).index(result.suggested)
    assert (
        result.table["smoothed"].to_numpy()[place + 1]
        < result.table["smoothed"].to_numpy()[place - 1]
    )


def test_losses_are_those_of_the_steps(found):
    result, _ = found
    module, data = make_module(), make_data()
    data.fix_size(32)
    data.trainer = SimpleNamespace(
        training=True, current_epoch=0, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    scene = data.on_after_batch_transfer(list(range(8)), 0)
    with torch.no_grad():
        first = float(module._step(scene, "train")[0])
    assert result.table["loss"].to_numpy()[0] == pytest.approx(first, rel=1e-3)


def test_the_weights_are_what_they_were(found):
    assert found[1]


def test_the_plot_is_written(found, tmp_path):
    result, _ = found
    chart = rate_range(result.table, title="bce_rmse", suggested=result.suggested, current=0.008)
    save_png(chart, tmp_path / "range.png")
    with Image.open(tmp_path / "range.png") as image:
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"min_lr": 1.0, "max_lr": 0.1}, "--min-lr 1 must lie between 0 and --max-lr 0.1"),
        ({"max_lr": float("inf")}, "must lie between 0 and --max-lr inf"),
        ({"num_steps": 5}, "--steps 5 is too few"),
    ],
)
def test_a_range_without_sense_is_refused(figures, words):
    settings = {"min_lr": 1e-5, "max_lr": 1.0, "num_steps": 30} | figures
    with pytest.raises(InputError, match=words):
        find_rate(make_module(), make_data(), hardware=CPU, interactive=False, **settings)


def test_a_loss_that_becomes_no_number_ends_the_curve():
    data = make_data()
    data.fix_size(32)
    figures = {"min_lr": 1e-3, "max_lr": 1e30, "num_steps": 40}
    result = find_rate(make_module(), data, hardware=CPU, interactive=False, **figures)
    assert (
        3 <= len(result.table["lr"].to_numpy()) < 40
        and np.isfinite(result.table["loss"].to_numpy()).all()
    )
