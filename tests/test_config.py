import copy
import json
import shutil
from functools import reduce
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import load_yaml
from typer.testing import CliRunner

from depthmask.cli.training import app
from depthmask.config import SECTIONS, own_training
from depthmask.config.reading import read_params, read_profiles, with_profile
from depthmask.errors import InputError
from depthmask.models.losses import TERMS
from depthmask.stages import read_params as read_checked_params

SHIPPED = Path(__file__).parents[1] / "params.yaml"
CONTENT = yaml.safe_load(SHIPPED.read_text())


@pytest.fixture
def path(tmp_path) -> Path:
    return Path(shutil.copy(SHIPPED, tmp_path / "params.yaml"))


def changed(path: Path, place: str, value: object) -> Path:
    *sections, key = place.split(".")
    content = copy.deepcopy(CONTENT)
    section = reduce(dict.__getitem__, sections, content)
    merged = isinstance(value, dict) and place.startswith("experiments")
    section[key] = section[key] | value if merged else value
    path.write_text(json.dumps(content))  # which is YAML
    return path


def refusal(path: Path, read=read_params) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_profile_overrides_single_values(path):
    changed(path, "profiles.laptop.train.optimizer", {"lr": 0.5})
    optimizer = read_params(path).train.optimizer
    assert optimizer.lr == 0.5
    assert optimizer.weight_decay == CONTENT["train"]["optimizer"]["weight_decay"]


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("train.learning_rate", 0.1, ["train.learning_rate: is no parameter"]),
        ("train.batch_size", "many", ["train.batch_size", "'many'"]),
        ("train.seed", -1, ["train.seed"]),
        ("train.seed", 2**32, ["train.seed"]),
        ("train.num_threads", 10**9, ["train.num_threads"]),
        ("train.mask_prior", float("inf"), ["train.mask_prior"]),
        ("augment.num_variants", 10**9, ["augment.num_variants"]),
        ("train.schedule", [{"size": 64, "epochs": 1}], ["prepare.size"]),
        ("prepare.museum.rendered", 0, ["train.rendered asks for frames"]),
        ("train.nobody", 0.9, ["nobody and rendered"]),
        ("train.depth_range_m", [3.0, 3.0], ["rise from near to far"]),
        ("train.scheduler", {"name": "onecycle", "warmup": 0.0, "step_epochs": 1, "factor": 0.1,
                             "patience": 0}, ["onecycle would rise for 0"]),
        ("prepare.photos.person_height_m", [2.0, 1.0], ["the shortest, then the tallest"]),
        ("compare", ["bce_rmse", "nothing"], ["'nothing'"]),
        ("compare", ["bce_rmse", "bce_rmse"], ["twice"]),
        ("experiments.bce_rmse.seeds", [1, 1], ["seeds must differ"]),
        ("profile", "desktop", ["'desktop'", "laptop"]),
        ("profile", ["laptop"], ["['laptop']"]),
        ("profiles.laptop", {"train": {}}, SECTIONS),
        ("profiles.laptop.prepare", {"source": "photos"}, ["profiles.laptop.prepare.source"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(path, place, value, words):
    message = refusal(changed(path, place, value))
    assert all(word in message for word in words), message


CONDITIONS = "evaluate.robustness.conditions"


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("experiments.bce_rmse", {"mask": {"focal": 1}}, ["'focal'", "dice"]),
        ("experiments.ssim_rmse", {"model": "unet"}, ["'unet'", "masknet3"]),
        ("experiments.masknet3_bce", {"depth": {"rmse": 1}}, ["no depth head"]),
        ("experiments.bce_rmse", {"depth": {}}, ["needs a loss term under `depth`"]),
        ("experiments.bce_rmse", {"mask": {"person_l1": 1}}, ["person_l1 belongs under `depth`"]),
        ("compare", ["masknet3_bce"], ["needs a network with depth"]),
        (CONDITIONS, {"fog": [1.0]}, ["unknown condition 'fog'"]),
        (CONDITIONS, {"jpeg": [0.0]}, ["jpeg lies between 1 and 100"]),
        (CONDITIONS, {"jpeg": [30.0, 30.0]}, ["must differ"]),
    ],
)
def test_a_name_that_there_is_not_is_named_by_every_stage(path, place, value, words):
    message = refusal(changed(path, place, value), read_checked_params)
    assert all(word in message for word in [f"{place}: ", *words]), message


def test_a_new_loss_term_needs_its_registry_alone(path, monkeypatch):
    monkeypatch.setitem(TERMS, "huber", lambda logits, target: logits.mean())
    changed(path, "experiments.bce_rmse", {"depth": {"huber": 1.0}})
    assert read_checked_params(path).experiments["bce_rmse"].depth == {"huber": 1.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1,", "not valid YAML"),
        ("- 1", "section"),
        ("a: !!float abc", "not valid YAML"),
        ("a: &a [*a, *a]", "no `profiles`"),
        ("train:\n  lr: 1\n  lr: 2\n", 'found duplicate key "lr", line 3'),
        ("prepare: {}\nprepare: {a: 1}\n", 'found duplicate key "prepare", line 2'),
        ("profiles: [1]", "no `profiles` of names and sections"),
        ("profiles: {tiny: hello}", "no `profiles` of names and sections"),
        ("profiles: {7: {}}", "no `profiles` of names and sections"),
    ],
)
def test_what_is_no_yaml_is_one_line(path, text, words):
    path.write_text(text)
    assert words in refusal(path)
    path.unlink()
    assert "missing" in refusal(path)


@pytest.mark.parametrize("scalar", ["1e-3", "010", "0o10", "off", "null", "1_000", ".inf", "12:30"])
def test_scalars_are_read_as_dvc_reads_them(path, scalar):
    path.write_text(f"profile: {scalar}\nprofiles: {{a: {{b: {scalar}}}}}\n")
    assert read_profiles(path)[1]["a"]["b"] == load_yaml(str(path))["profile"]


@pytest.mark.parametrize("name", CONTENT["profiles"])
def test_a_profile_changes_two_values_and_the_way_back_restores_every_byte(path, name):
    text, params = with_profile(path, name)
    path.write_text(text)
    assert read_params(path) == params and params.profile == name
    assert list(params.compare) == read_profiles(path)[1][name]["compare"]
    lines = zip(SHIPPED.read_text().splitlines(), text.splitlines(), strict=True)
    edited = {new.partition(":")[0] for old, new in lines if old != new}
    assert edited <= {"profile", "compare"}
    assert with_profile(path, "laptop")[0] == SHIPPED.read_text()


def test_a_block_of_names_is_replaced_and_comments_and_line_ends_stay(path):
    text = path.read_text()
    start = text.index("compare: [")
    end = text.index("\n", start)
    block = "compare:\n  - bce_rmse # x\n  - masknet3_bce\n# what follows"
    path.write_bytes((text[:start] + block + text[end:]).replace("\n", "\r\n").encode())
    after, params = with_profile(path, "tiny")
    assert "# what follows\r\n" in after and after.count("\r\n") == after.count("\n")
    assert after.count("\n") == text.count("\n") + 1
    assert params.compare == ("bce_rmse", "masknet3_bce")


def test_what_cannot_be_chosen(path):
    with pytest.raises(InputError, match=r"no profile 'moon'; it has laptop, tiny, gpu, seed"):
        with_profile(path, "moon")
    for old, new, message in (
        ("batch_size: 4,", "batch_size: 1,", r"params\.yaml \(profile tiny\): train\.batch_size"),
        ("[bce_rmse, masknet3_bce]", "5", r"profiles\.tiny\.compare must be a list"),
        ("\ncompare:", "\n# compare:", "has no `compare`"),
    ):
        path.write_text(SHIPPED.read_text().replace(old, new))
        with pytest.raises(InputError, match=message):
            with_profile(path, "tiny")


def test_the_seed_profile_is_the_original_number_by_number(path):
    _, params = with_profile(path, "seed")
    train, plates = params.train, params.prepare.splits.plates
    optimizer, scheduler = train.optimizer, train.scheduler
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.1, 0.9)
    assert optimizer.weight_decay == 1e-8
    assert (scheduler.name, scheduler.factor, scheduler.patience) == ("plateau", 0.1, 2)
    assert [(step.size, step.epochs) for step in train.schedule] == [(64, 4), (128, 4), (224, 4)]
    assert plates.train + plates.val + plates.test == 100
    assert params.prepare.splits.cutouts == plates
    assert train.scenes_per_epoch == round(0.7 * 100 * 100 * 40)
    assert -(-train.scenes_per_epoch // train.batch_size) == 2188  # the original's steps an epoch
    models = [params.experiments[name].model for name in params.compare]
    assert models.count("depthmasknet8") == 7 and models.count("masknet3") == 4
    for name in params.compare:
        plain = params.experiments[name].model_copy(update={"augmented": False})
        assert params.experiments[f"{name}_plain"] == plain


def test_the_verb_edits_the_file_behind_a_link(path, tmp_path, monkeypatch):
    link = tmp_path / "elsewhere" / "params.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    monkeypatch.chdir(link.parent)
    runner = CliRunner()
    assert "profile tiny: bce_rmse, masknet3_bce" in runner.invoke(app, ["profile", "tiny"]).output
    assert link.is_symlink() and read_params(path).profile == "tiny"
    assert "* tiny" in runner.invoke(app, ["profile"]).output


def test_an_experiment_may_train_longer(path):
    params = read_params(path)
    one = params.experiments["bce_rmse"]
    assert own_training(one, params.train) == params.train
    twice = own_training(one.model_copy(update={"longer": 2.0}), params.train)
    before, after = ([step.epochs for step in each.schedule] for each in (params.train, twice))
    assert after == [2 * epochs for epochs in before]
