"""Finds the setting that an unknown name may mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from server.settings.tree import setting_names


def similar_setting(name: str) -> str | None:
    """A setting (`section.key`) with a similar name, or a section if `name` has no dot; None if there is none."""
    names = setting_names()
    section, _, key = name.rpartition(".")
    elsewhere = [each for each in names if each.endswith(f".{key}")]
    longer = [each for each in names if f"_{key}_" in f"_{each.rpartition('.')[2]}_"]
    own = {each.partition(".")[2]: each for each in names if section and each.startswith(f"{section}.")}
    if section:
        longer.sort(key=lambda each: each not in own.values())
    like_own = [own[each] for each in difflib.get_close_matches(key, own, n=1, cutoff=0.6)]
    sections = {each.partition(".")[0] for each in names}
    like = difflib.get_close_matches(name, names if section else sections, n=1, cutoff=0.85)
    return next(iter([*elsewhere, *like_own, *longer, *like]), None)


def dotted(steps: Iterable[str]) -> str:
    """The name of a setting in the syntax of TOML: access."GET /users"."""
    return ".".join(step if step and " " not in step else f'"{step}"' for step in steps)


def what_is_similar(name: str) -> str:
    """The advice for an unknown name in the settings file."""
    near = similar_setting(name)
    if near is not None:
        return f"did you mean {near}?"
    section = name.rpartition(".")[0]
    names = setting_names()
    inside = [each.partition(".")[2] for each in names if each.startswith(f"{section}.")]
    if inside:
        return f"[{section}] has {', '.join(inside)}"
    return f"the sections are {', '.join(dict.fromkeys(each.partition('.')[0] for each in names))}"
