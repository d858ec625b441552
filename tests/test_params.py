from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import load_yaml

from depthmask.config import SECTIONS, read_params
from depthmask.config.yaml12 import read_yaml
from depthmask.errors import InputError

PARAMS = Path(__file__).parents[1] / "params.yaml"


@pytest.fixture
def content() -> dict:
    return yaml.safe_load(PARAMS.read_text())


def refusal(tmp_path: Path, content: dict) -> str:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        read_params(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("profile", ["laptop", "tiny", "gpu"])
def test_every_profile_is_valid(tmp_path, content, profile):
    content["profile"] = profile
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    assert read_params(path).profile == profile


def test_a_profile_overrides_single_values(tmp_path, content):
    content["profiles"]["laptop"]["train"] = {"optimizer": {"lr": 0.5}}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    optimizer = read_params(path).train.optimizer
    assert optimizer.lr == 0.5
    assert optimizer.weight_decay == content["train"]["optimizer"]["weight_decay"]


def test_unknown_key_is_named(tmp_path, content):
    content["train"]["learning_rate"] = 0.1
    assert "train.learning_rate" in refusal(tmp_path, content)


def test_wrong_type_is_named_with_its_value(tmp_path, content):
    content["train"]["batch_size"] = "many"
    message = refusal(tmp_path, content)
    assert "train.batch_size" in message and "'many'" in message


def test_unknown_loss_term_is_named(tmp_path, content):
    content["experiments"]["bce_rmse"]["mask"] = {"focal": 1}
    message = refusal(tmp_path, content)
    assert "experiments.bce_rmse.mask" in message and "'dice'" in message


def test_unknown_model_is_named(tmp_path, content):
    content["experiments"]["bce_rmse"]["model"] = "unet"
    message = refusal(tmp_path, content)
    assert "experiments.bce_rmse.model" in message and "masknet3" in message


def test_unknown_experiment_in_compare(tmp_path, content):
    content["compare"] = ["bce_rmse", "nothing"]
    assert "'nothing'" in refusal(tmp_path, content)


def test_compare_without_a_depth_network(tmp_path, content):
    content["compare"] = ["masknet3_bce"]
    assert "depthmasknet8" in refusal(tmp_path, content)


def test_masknet_takes_no_depth_loss(tmp_path, content):
    content["experiments"]["masknet3_bce"]["depth"] = {"rmse": 1}
    assert "no depth head" in refusal(tmp_path, content)


def test_schedule_must_end_at_the_data_size(tmp_path, content):
    content["train"]["schedule"] = [{"size": 64, "epochs": 1}]
    assert "prepare.size" in refusal(tmp_path, content)


def test_unknown_profile(tmp_path, content):
    content["profile"] = "desktop"
    message = refusal(tmp_path, content)
    assert "'desktop'" in message and "laptop" in message


def test_profile_must_name_every_section(tmp_path, content):
    del content["profiles"]["laptop"]["train"]
    message = refusal(tmp_path, content)
    assert all(section in message for section in SECTIONS)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_params(tmp_path / "params.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1,")
    with pytest.raises(InputError, match="not valid YAML"):
        read_params(broken)
    broken.write_text("- 1")
    with pytest.raises(InputError, match="section"):
        read_params(broken)


@pytest.mark.parametrize(
    "scalar",
    ["1e-3", "1E5", "010", "0o10", "0x1F", "off", "yes", "true", "null", "~", "1_000", ".5", "-.5",
     "1.", "+12", ".inf", "12:30", "abc", "1e3.5", "''", "-"],
)  # fmt: skip
def test_scalars_read_as_dvc_reads_them(tmp_path, scalar):
    path = tmp_path / "params.yaml"
    path.write_text(f"value: {scalar}\n")
    try:
        expected = load_yaml(str(path))["value"]
    except Exception:
        with pytest.raises(InputError):
            read_yaml(path)
        return
    found = read_yaml(path)["value"]
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "seed", -1),
        ("train", "seed", 2**32),
        ("train", "num_threads", 10**9),
        ("train", "mask_prior", float("inf")),
        ("augment", "num_variants", 10**9),
    ],
)
def test_values_that_no_machine_can_serve_are_refused(tmp_path, content, section, key, value):
    content[section][key] = value
    assert f"{section}.{key}" in refusal(tmp_path, content)


@pytest.mark.parametrize("text", ["a: 1_e", "a: !!float abc", "a: &a [*a, *a]"])
def test_odd_yaml_is_no_traceback(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError):
        read_params(path)
