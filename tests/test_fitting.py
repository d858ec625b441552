"""Training: it learns, it resumes to the same result, it says when it diverges."""

import math
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn

from depthmask.config import Optimizer, Scheduler, SizeSchedule
from depthmask.data.composition.compositor import Compositor
from depthmask.data.composition.training_scenes import ComposedScenes
from depthmask.errors import TrainingDiverged
from depthmask.models import Prediction, build_model
from depthmask.models.hardware import Hardware
from depthmask.models.losses import SceneLoss
from depthmask.training.fitting import LAST, PREVIOUS, fit
from depthmask.training.module import VAL_METRICS, DepthMaskModule
from depthmask.training.scene_data import SceneData
from synthetic import SIZE, TINY, make_library, make_placer

CPU = Hardware("cpu", bfloat16=False)
SCHEDULE = (SizeSchedule(size=32, epochs=2), SizeSchedule(size=SIZE, epochs=1))


class TinyNet(nn.Module):
    """The pair through two convolutions: enough to see a difference."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1)
        )

    def forward(self, bg, bg_fg):
        answer = self.body(torch.cat([bg, bg_fg], 1))
        return Prediction(answer[:, :1], answer[:, 1:])


def make_data(schedule=SCHEDULE, scenes_per_epoch=16) -> SceneData:
    library = make_library()
    placer = make_placer(library)
    compositor = Compositor(library, TINY.compositor)
    return SceneData(
        ComposedScenes(compositor, placer, placer.draw(1, 0, range(8))),
        schedule=schedule,
        scenes_per_epoch=scenes_per_epoch,
        batch_size=8,
    )


COSINE = Scheduler(name="cosine", warmup=0.2, step_epochs=1, factor=0.1, patience=2)


def make_module(lr=0.02, model=None, scheduler=COSINE, **loss) -> DepthMaskModule:
    L.seed_everything(0, verbose=False)
    return DepthMaskModule(
        model or TinyNet(),
        SceneLoss(**{"mask_terms": {"bce": 1}, "depth_terms": {"rmse": 2}} | loss),
        optimizer=Optimizer(name="adamw", lr=lr, momentum=0.9, weight_decay=0.01),
        scheduler=scheduler,
        depth_range_m=(0.5, 25.0),
    )


def run(module, data, folder: Path, on_epoch=lambda epoch, row: None, average=0.9):
    return fit(
        module,
        data,
        hardware=CPU,
        average=average,
        checkpoints=folder,
        label="test",
        on_epoch=on_epoch,
        interactive=False,
    )


class Killed(Exception):
    pass


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_resumed_run_ends_as_one_that_was_never_stopped(tmp_path, average):
    whole = make_module()
    expected = run(whole, make_data(), tmp_path / "whole", average=average)

    def stop(epoch, row):
        if epoch == 2:  # the second epoch is lost: its checkpoint is not yet written
            raise Killed

    with pytest.raises(Killed):
        run(make_module(), make_data(), tmp_path / "stopped", stop, average)
    # whatever the first weights are, the checkpoint's take their place
    resumed = make_module()
    for weight in resumed.parameters():
        weight.data.zero_()
    found = run(resumed, make_data(), tmp_path / "stopped", average=average)
    assert found == expected
    assert [row["epoch"] for row in found] == [1, 2, 3]
    assert [row["size"] for row in found] == [32, 32, SIZE]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_run_killed_after_its_last_checkpoint_keeps_the_average(tmp_path):
    whole = make_module()
    expected = run(whole, make_data(), tmp_path)
    again = make_module()
    for weight in again.parameters():
        weight.data.zero_()
    assert run(again, make_data(), tmp_path) == expected
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_the_real_network_learns_synthetic_people(tmp_path):
    model = build_model("depthmasknet8", mask_prior=0.04)
    data = make_data((SizeSchedule(size=32, epochs=8),), scenes_per_epoch=64)
    module = make_module(0.003, model, mask_terms={"bce": 1, "dice": 1})
    rows = run(module, data, tmp_path, average=0.5)
    assert rows[-1]["train/loss"] < 0.6 * rows[0]["train/loss"]
    assert rows[-1]["val/mask_iou"] > 0.3


def test_rows_hold_losses_and_metrics_apart(tmp_path):
    seen = []
    rows = run(make_module(), make_data(), tmp_path, lambda epoch, row: seen.append((epoch, row)))
    assert [epoch for epoch, _ in seen] == [1, 2, 3] and [row for _, row in seen] == rows
    row = rows[-1]
    total = row["val/loss_mask_bce"] + 2 * row["val/loss_depth_rmse"]
    assert row["val/loss"] == pytest.approx(total, rel=1e-5)
    assert row["val/depth_rmse"] != row["val/loss_depth_rmse"]  # metres against the unit interval
    assert rows[0]["lr"] > rows[-1]["lr"]
    assert all(math.isfinite(row[f"val/{name}"]) for row in rows for name in VAL_METRICS)


def test_a_loss_that_is_no_number_stops_with_the_remedy(tmp_path):
    class Broken(TinyNet):
        def forward(self, bg, bg_fg):
            prediction = super().forward(bg, bg_fg)
            return prediction._replace(mask_logits=prediction.mask_logits * float("nan"))

    with pytest.raises(TrainingDiverged, match=r"lower train\.optimizer\.lr \(0\.02\)"):
        run(make_module(model=Broken()), make_data(), tmp_path)


@pytest.mark.parametrize("left", [b"", b"half a file"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_serves(tmp_path, capsys, left):
    expected = run(make_module(), make_data(), tmp_path / "whole")
    folder = tmp_path / "stopped"

    def stop(epoch, row):
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        run(make_module(), make_data(), folder, stop)
    (folder / LAST).write_bytes(left)
    resumed = []
    assert (
        run(make_module(), make_data(), folder, lambda epoch, row: resumed.append(epoch))
        == expected
    )
    assert resumed == [2, 3]
    assert "set aside" in capsys.readouterr().err
    assert (folder / "last.damaged").read_bytes() == left
    for name in (LAST, PREVIOUS):
        (folder / name).write_bytes(left)
    assert run(make_module(), make_data(), folder) == expected  # anew


def test_the_average_of_the_weights_is_what_remains(tmp_path):
    models = [make_module(), make_module()]
    for module, average in zip(models, (0.0, 0.9), strict=True):
        run(module, make_data(), tmp_path / str(average), average=average)
    pairs = zip(*(module.parameters() for module in models), strict=True)
    assert any(not torch.equal(plain, averaged) for plain, averaged in pairs)
