"""Put a profile of `params.yaml` in force by editing the two values that say so."""

from pathlib import Path
from typing import NamedTuple

import yaml

from depthmask.errors import InputError
from depthmask.output import replaced_file
from depthmask.params import read_params
from depthmask.yaml12 import read_yaml


class Chosen(NamedTuple):
    """What is in force now: the profile's name and the experiments it compares."""

    profile: str
    compare: tuple[str, ...]


def profile_names(path: Path) -> tuple[str, list[str]]:
    """The profile in force, and all that `params.yaml` defines.

    Raises:
        InputError: if the file is missing or defines none.
    """
    content = read_yaml(path)
    profiles = content.get("profiles")
    if not isinstance(profiles, dict) or not profiles:
        raise InputError(f"{path} has no `profiles`: restore the section from git")
    return str(content.get("profile")), list(profiles)


def choose_profile(path: Path, name: str) -> Chosen:
    """Set `profile`, and `compare` where the profile has one; every other byte stays.

    Raises:
        InputError: if there is no such profile or the result would not be valid; the file is
            then what it was.
    """
    _, known = profile_names(path)
    if name not in known:
        raise InputError(f"{path} has no profile {name!r}; it has {', '.join(known)}")
    text = path.read_text(encoding="utf-8")
    compare = (read_yaml(path)["profiles"][name] or {}).get("compare")
    values = {"profile": name}
    if compare is not None:
        values["compare"] = "[" + ", ".join(map(str, compare)) + "]"
    with replaced_file(path) as temporary:
        temporary.write_text(_with_values(text, values, path), encoding="utf-8")
        try:
            params = read_params(temporary)
        except InputError as error:
            raise InputError(str(error).replace(str(temporary), str(path))) from None
    return Chosen(params.profile, params.compare)


def _with_values(text: str, values: dict[str, str], path: Path) -> str:
    """Replace the values of keys at the top level, by where the YAML parser found them."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    spans = {key.value: (value.start_mark, value.end_mark) for key, value in root.value}
    for key in values:
        if key not in spans:
            raise InputError(f"{path} has no `{key}`: add it")
    for key in sorted(values, key=lambda key: -spans[key][0].index):
        start, end = (mark.index for mark in spans[key])
        # a value in block style ends where the next key begins
        old = text[start:end]
        trailing = old[len(old.rstrip()) :] if "\n" in old else ""
        lead = " " if text[start - 1] not in " " else ""
        if "\n" in text[text.rfind(f"{key}:", 0, start) : start]:
            start = text.rfind(f"{key}:", 0, start) + len(key) + 1
            lead = " "
        text = text[:start] + lead + values[key] + trailing + text[end:]
    return text
