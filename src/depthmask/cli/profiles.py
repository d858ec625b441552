"""Put a profile of `params.yaml` in force by editing the two values that say so."""

from pathlib import Path
from typing import NamedTuple

import yaml

from depthmask.config import read_params
from depthmask.config.yaml12 import read_yaml
from depthmask.data.scenes.files import replaced_file
from depthmask.errors import InputError


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
    if not isinstance(profiles, dict) or not all(
        isinstance(name, str) and isinstance(values, dict) for name, values in profiles.items()
    ):
        raise InputError(f"{path} has no `profiles` of names and sections: restore it from git")
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
    text = path.read_bytes().decode("utf-8")  # line ends as they are
    compare = read_yaml(path)["profiles"][name].get("compare")
    values = {"profile": name}
    if compare is not None:
        values["compare"] = "[" + ", ".join(map(str, compare)) + "]"
    # a link's target is what others read
    with replaced_file(path.resolve()) as temporary:
        temporary.write_bytes(_with_values(text, values, path).encode("utf-8"))
        try:
            params = read_params(temporary)
        except InputError as error:
            raise InputError(str(error).replace(str(temporary), str(path))) from None
    return Chosen(params.profile, params.compare)


def _with_values(text: str, values: dict[str, str], path: Path) -> str:
    """Replace the values of keys at the top level, by where the YAML parser found them."""
    found = {
        key.value: (key.end_mark.index, value)
        for key, value in yaml.compose(text, Loader=yaml.SafeLoader).value
    }
    for key in values:
        if key not in found:
            raise InputError(f"{path} has no `{key}`: add it")
    for key in sorted(values, key=lambda key: -found[key][0]):
        key_end, value = found[key]
        start, end = value.start_mark.index, value.end_mark.index
        lead = ""
        if "\n" in text[key_end:start] and value.value:
            # in block style: it begins beneath its key, and its own end is the next key's start
            start, end = text.index(":", key_end) + 1, value.value[-1].end_mark.index
            lead = " "
        text = text[:start] + lead + values[key] + text[end:]
    return text
