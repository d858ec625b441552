"""`params.yaml` as a whole: read, its profile merged in, checked."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from depthmask.config.base import Section
from depthmask.config.data import AugmentParams, CompositorParams, PlacementParams, PrepareParams
from depthmask.config.results import EvaluateParams, ExportParams
from depthmask.config.training import Experiment, TrainParams
from depthmask.config.yaml12 import read_yaml
from depthmask.errors import InputError

BASELINES = ("difference_threshold", "constant_depth", "plate_depth")
"""Names that evaluate gives to what needs no training."""

SECTIONS = ("prepare", "placement", "compositor", "augment", "train", "evaluate", "export")


class Params(Section):
    profile: str
    compare: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    prepare: PrepareParams
    placement: PlacementParams
    compositor: CompositorParams
    augment: AugmentParams
    train: TrainParams
    evaluate: EvaluateParams
    export: ExportParams
    experiments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Experiment]

    @model_validator(mode="after")
    def _check(self) -> "Params":
        for name in self.compare:
            if name not in self.experiments:
                raise ValueError(
                    f"`compare` names {name!r}, which `experiments` does not define;"
                    f" it defines {', '.join(self.experiments)}"
                )
            if name in BASELINES:
                raise ValueError(f"{name} is a baseline's name: call the experiment otherwise")
        if len(set(self.compare)) != len(self.compare):
            raise ValueError("`compare` names an experiment twice")
        if all(self.experiments[name].model != "depthmasknet8" for name in self.compare):
            raise ValueError("`compare` needs a depthmasknet8 experiment: the best is exported")
        sizes = [step.size for step in self.train.schedule]
        if sizes[-1] != self.prepare.size or max(sizes) > self.prepare.size:
            raise ValueError(
                f"train.schedule must end at prepare.size, {self.prepare.size} px, and not exceed"
                f" it; its sizes are {', '.join(map(str, sizes))}"
            )
        return self


def _merged(base: Any, override: Any) -> Any:
    if isinstance(base, dict) and isinstance(override, dict):
        return base | {key: _merged(base.get(key), value) for key, value in override.items()}
    return override


def _message(path: Path, error: ValidationError, profile: str) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        what = "is no parameter: remove it or mend its spelling"
    elif first["type"] == "missing":
        what = "is missing: add it"
    elif first["type"] == "value_error":
        what = str(first["ctx"]["error"])
    else:
        what = f"{first['msg'].lower()}, not {first['input']!r}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path} (profile {profile}): {where + ': ' if where else ''}{what}{more}"


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read `params.yaml`, its profile's overrides merged in.

    Raises:
        InputError: naming the parameter and what is wrong with it.
    """
    content = read_yaml(path)
    profiles = content.pop("profiles", None)
    profile = content.get("profile")
    if not (isinstance(profiles, dict) and isinstance(profile, str) and profile in profiles):
        known = ", ".join(profiles) if isinstance(profiles, dict) else "none"
        raise InputError(f"{path}: profile {profile!r} is not under `profiles` ({known})")
    overrides = profiles[profile]
    if not isinstance(overrides, dict) or set(overrides) - {"compare"} != set(SECTIONS):
        raise InputError(
            f"{path}: profiles.{profile} must name exactly {', '.join(SECTIONS)}, {{}} for none,"
            " and may name compare"
        )
    if isinstance(overrides["prepare"], dict) and "source" in overrides["prepare"]:
        raise InputError(
            f"{path}: profiles.{profile}.prepare.source is not possible: DVC follows prepare.source"
        )
    # DVC reads the one above, which is what runs; this one is what `depthmask profile` sets it to
    overrides = {name: values for name, values in overrides.items() if name != "compare"}
    try:
        return Params.model_validate(_merged(content, overrides))
    except ValidationError as error:
        raise InputError(_message(path, error, profile)) from None


def named_experiment(params: Params, name: str) -> Experiment:
    """An experiment by its name.

    Raises:
        InputError: if params.yaml defines no such experiment.
    """
    if name not in params.experiments:
        known = ", ".join(params.experiments)
        raise InputError(f"params.yaml defines no experiment {name!r}; it defines {known}")
    return params.experiments[name]
