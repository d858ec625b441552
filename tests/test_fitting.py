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
from depthmask.data.scenes.scene import REFERENCE_FOCAL, Scene
from depthmask.errors import TrainingDiverged
from depthmask.models import MODELS, Prediction
from depthmask.models.depth_codec import encode_depth
from depthmask.models.hardware import Hardware
from depthmask.models.losses import SceneLoss
from depthmask.training.fitting import LAST, PREVIOUS, centre_mask, find_checkpoint, fit
from depthmask.training.module import VAL_METRICS, DepthMaskModule
from depthmask.training.scene_data import SceneData
from synthetic import SIZE, TINY, make_library, make_placer

CPU = Hardware("cpu", bfloat16=False)
SCHEDULE = (SizeSchedule(size=32, epochs=2), SizeSchedule(size=SIZE, epochs=1))


class TinyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1)
        self.body = nn.Sequential(*layers)

    def forward(self, bg, bg_fg):
        answer = self.body(torch.cat([bg, bg_fg], 1))
        return Prediction(answer[:, :1], answer[:, 1:])


class DifferenceNet(nn.Module):
    """How much the pictures differ, a person from a third on."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.mask.weight, 6)
        nn.init.constant_(self.mask.bias, -2)

    def forward(self, bg, bg_fg):
        return Prediction(self.mask((bg - bg_fg).abs().amax(1, keepdim=True)), None)


TRAIN = TINY.train.model_copy(
    update={
        "schedule": SCHEDULE,
        "scenes_per_epoch": 16,
        "batch_size": 8,
        "optimizer": Optimizer(name="adamw", lr=0.02, momentum=0.9, weight_decay=0.01),
        "scheduler": Scheduler(name="cosine", warmup=0.2, step_epochs=1, factor=0.1, patience=2),
    }
)


def make_data(**changes) -> SceneData:
    placer = make_placer(library := make_library())
    compositor = Compositor(library, TINY.compositor)
    scenes = ComposedScenes(compositor, placer, placer.draw(1, 0, range(8)))
    return SceneData(scenes, TRAIN.model_copy(update=changes))


def make_module(model=None, mask_terms=("bce",), **changes) -> DepthMaskModule:
    L.seed_everything(0, verbose=False)
    loss = SceneLoss(dict.fromkeys(mask_terms, 1), {"rmse": 2})
    params = TRAIN.model_copy(update=changes)
    return DepthMaskModule(model or TinyNet(), loss, params, depth_range_m=(0.5, 25.0))


def run(module, data, folder: Path, on_epoch=lambda epoch, row: None, average=0.9):
    settings = {"hardware": CPU, "label": "test", "interactive": False}
    return fit(module, data, average=average, checkpoints=folder, on_epoch=on_epoch, **settings)


def kill_in(number):
    """For `on_epoch`: ends a run by ZeroDivisionError, before that epoch has its checkpoint."""
    return lambda epoch, row: 1 / (epoch - number)


def test_one_half_becomes_the_best_threshold_of_the_mask():
    data, module = make_data(), make_module(DifferenceNet())
    assert centre_mask(module, data, device="cpu") < 0.4
    assert abs(centre_mask(module, data, device="cpu") - 0.5) <= 0.05
    nobody = make_module(DifferenceNet())
    torch.nn.init.constant_(nobody.model.mask.bias, -20)  # at every threshold the same IoU
    assert centre_mask(nobody, data, device="cpu") == 0.5


@pytest.mark.parametrize(
    ("side", "lens", "learnt_m"), [(SIZE, 1.0, 3.0), (SIZE // 2, 1.0, 6.0), (SIZE // 2, 1.5, 4.0)]
)
def test_an_image_of_half_the_pixels_is_of_half_the_focal_length(side, lens, learnt_m):
    plane = torch.full((1, 1, side, side), 3.0)
    focal = torch.full((1, 1, 1, 1), lens * REFERENCE_FOCAL)
    picture, nobody = torch.zeros(1, 3, side, side), torch.zeros_like(plane)
    code = encode_depth(torch.full_like(plane, learnt_m), (0.5, 25.0))
    module = make_module(DifferenceNet())
    module.model.forward = lambda bg, bg_fg: Prediction(nobody, code.logit())
    module.log_dict = lambda *args, **options: None
    scene = Scene(picture, picture, nobody, plane, focal)
    module.validation_step(scene, 0)
    assert module.val_metrics.compute()["depth_rmse"] == pytest.approx(0, abs=1e-4)
    # of the mask alone, which says one half
    assert module.training_step(scene, 0).item() == pytest.approx(math.log(2), abs=0.01)


def test_workers_plan_what_one_process_plans():
    alone, ahead = make_data().scenes, make_data().scenes
    ahead.num_workers, cpu = 2, torch.device("cpu")
    loaders = [each.loader("train", 24, 8, [32, SIZE], 1, cpu) for each in (alone, ahead)]
    for epoch in (1, 0):
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
        for first, second in zip(*loaders, strict=True):
            found, expected = ahead.scene(second, cpu), alone.scene(first, cpu)
            assert len(found.mask) == 8 and found.mask.shape[-1] == (SIZE if epoch else 32)
            for each, field in zip(found, expected, strict=True):
                assert torch.equal(each, field)


def assert_equal_weights(first, second):
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped: its module, rows and folder, and what it told."""
    module, seen, folder = make_module(), [], tmp_path_factory.mktemp("whole")
    rows = run(module, make_data(), folder, lambda *told: seen.append(told))
    return module, rows, folder, seen


@pytest.fixture
def blank():
    """Whatever the first weights are, a checkpoint's take their place."""
    module = make_module()
    for weight in module.parameters():
        weight.data.zero_()
    return module


def test_a_run_killed_after_its_last_checkpoint_keeps_the_average(whole, blank):
    module, expected, folder, _ = whole
    assert run(blank, make_data(), folder) == expected
    assert_equal_weights(module, blank)


def test_a_resumed_run_ends_as_one_that_was_never_stopped(tmp_path, whole, blank):
    """Without an average here; with it below, where a damaged checkpoint is set aside."""
    module = make_module()
    expected = run(module, make_data(), tmp_path / "whole", average=0.0)
    with pytest.raises(ZeroDivisionError):
        run(make_module(), make_data(), tmp_path / "stopped", kill_in(2), average=0.0)
    assert run(blank, make_data(), tmp_path / "stopped", average=0.0) == expected
    assert_equal_weights(module, blank)
    assert not torch.equal(module.model.body[0].weight, whole[0].model.body[0].weight)


def test_the_real_network_learns_synthetic_people(tmp_path):
    torch.manual_seed(0)
    optimizer = TRAIN.optimizer.model_copy(update={"lr": 0.005})
    module = make_module(MODELS["depthmasknet8"](), ("bce", "dice"), optimizer=optimizer)
    schedule = (SizeSchedule(size=32, epochs=3),)
    data = make_data(schedule=schedule, scenes_per_epoch=48, batch_size=4)
    rows = run(module, data, tmp_path, average=0.5)
    assert rows[-1]["train/loss"] < 0.6 * rows[0]["train/loss"]
    assert rows[-1]["val/mask_iou"] > 0.2


def test_rows_hold_losses_and_metrics_apart(whole):
    _, rows, _, seen = whole
    assert seen == [(epoch, row) for epoch, row in enumerate(rows, start=1)]
    assert [row["size"] for row in rows] == [32, 32, SIZE]
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
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_serves(
    tmp_path, whole, blank, capsys, left
):
    with pytest.raises(ZeroDivisionError):
        run(make_module(), make_data(), tmp_path, kill_in(3))
    (tmp_path / LAST).write_bytes(left)
    resumed = []
    rows = run(blank, make_data(), tmp_path, lambda epoch, row: resumed.append(epoch))
    assert rows == whole[1] and resumed == [2, 3]
    assert_equal_weights(whole[0], blank)
    assert "set aside" in capsys.readouterr().err
    assert (tmp_path / "last.damaged").read_bytes() == left
    for name in (LAST, PREVIOUS):
        (tmp_path / name).write_bytes(left)
    assert find_checkpoint(tmp_path) is None  # anew
