"""`params.yaml` and its profiles, as DVC reads them."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML, SequenceNode, YAMLError
from ruamel.yaml.error import MarkedYAMLError

from depthmask.config import SECTIONS, Params
from depthmask.errors import InputError


def read_params(path: Path = Path("params.yaml"), text: str | None = None) -> Params:
    """Read `params.yaml`, or a text in its place, with its profile merged in; or InputError."""
    content, profiles = read_profiles(path, text)
    profile = content.get("profile")
    if profile not in list(profiles):
        raise InputError(f"{path}: profile {profile!r} is not one of {', '.join(profiles)}")
    # DVC reads the `compare` above, which `depthmask profile` sets to the profile's
    overrides = {name: each for name, each in profiles[profile].items() if name != "compare"}
    where = f"{path}: profiles.{profile}"
    if overrides.keys() != set(SECTIONS):
        names = ", ".join(SECTIONS)
        raise InputError(f"{where} must name exactly {names}, {{}} for none, and may name compare")
    if isinstance(overrides["prepare"], dict) and "source" in overrides["prepare"]:
        raise InputError(f"{where}.prepare.source is not possible: DVC follows prepare.source")
    try:
        return Params.model_validate(_merged(content, overrides))
    except ValidationError as error:
        raise InputError(f"{path} (profile {profile}): {_first_fault(error)}") from None


def with_profile(path: Path, name: str) -> tuple[str, Params]:
    """The text with a profile in force, all else as it was, and its values; or InputError."""
    _, profiles = read_profiles(path)
    if name not in profiles:
        raise InputError(f"{path} has no profile {name!r}; it has {', '.join(profiles)}")
    text, values = path.read_bytes().decode(), {"profile": name}
    if (compare := profiles[name].get("compare")) is not None:
        if not isinstance(compare, list):
            raise InputError(f"{path}: profiles.{name}.compare must be a list of experiments")
        values["compare"] = f"[{', '.join(map(str, compare))}]"
    # from the last to the first, so that the places of those before stay right
    for key, value in reversed(YAML(pure=True).compose(text).value):
        if key.value in values:
            is_block = isinstance(value, SequenceNode) and not value.flow_style
            end = (value.value[-1] if is_block else value).end_mark.index
            new = f"{key.value}: {values.pop(key.value)}"
            text = text[: key.start_mark.index] + new + text[end:]
    if values:
        raise InputError(f"{path} has no `{next(iter(values))}`: add it")
    return text, read_params(path, text)


def read_profiles(path: Path, text: str | None = None) -> tuple[dict, dict[str, dict]]:
    """The top level of `params.yaml`, as DVC reads it, and its profiles apart; or InputError."""
    try:
        text = path.read_bytes().decode() if text is None else text
        content = YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run this in the project's folder") from None
    except MarkedYAMLError as error:
        # of a key twice it would quote both values, which may be whole sections
        what, line = error.problem.partition(" with value")[0], error.problem_mark.line + 1
        raise InputError(f"{path} is not valid YAML: {what}, line {line}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold `section: …` lines, not {type(content).__name__}")
    profiles = content.pop("profiles", None)
    if not isinstance(profiles, dict) or not all(
        isinstance(name, str) and isinstance(values, dict) for name, values in profiles.items()
    ):
        raise InputError(f"{path} has no `profiles` of names and sections: restore it from git")
    return content, profiles


def _merged(base: Any, override: Any) -> Any:
    if isinstance(base, dict) and isinstance(override, dict):
        return base | {key: _merged(base.get(key), value) for key, value in override.items()}
    return override


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    what = {
        "extra_forbidden": "is no parameter: remove it or mend its spelling",
        "missing": "is missing: add it",
        "value_error": first["msg"].removeprefix("Value error, "),
    }.get(first["type"], f"{first['msg'].lower()}, not {first['input']!r}")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where + ': ' if where else ''}{what}{more}"
