"""Patterns over layer names in PEFT configurations, matched in time linear in name and pattern.

They are regular expressions written by anybody; Python's own engine needs exponential time for
some. What PEFT and its users write is names, wildcards and classes: groups are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from locstyle.errors import shown
from locstyle.files import bounds

_ATOM = re.compile(r"(\\[^\W_]|\\\W|\[\^?\]?[^\]\[]*\]|[^\\(){}\[\]*+?|^$])([*+?]\??)?")
_NAME = re.compile(r"\^?(?:[\w-]|\\?\.)+\$?")


class _Atom(NamedTuple):
    """One character of a name: which, and whether it may be left out or repeated."""

    one: re.Pattern[str]
    is_optional: bool
    is_repeated: bool


class Patterns:
    """Values by pattern; the first pattern that matches a name's end, from a dot on, counts.

    As huggingface/peft `get_pattern_key`: `(.*\\.)?(pattern)$`.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        """
        Raises:
            ValueError: too many or too long patterns, or one that is not read.
        """
        if len(values) > bounds.PATTERNS:
            raise ValueError(f"{len(values)} patterns; read are at most {bounds.PATTERNS}")
        self._values = dict(values)
        # A name without wildcards is safe with Python's engine, and faster.
        self._plain = {p: re.compile(rf"(.*\.)?({p})$") for p in values if _NAME.fullmatch(p)}
        self._wild = {p: _compiled(p) for p in values if p not in self._plain}
        length = sum(len(atoms) for ways in self._wild.values() for atoms in ways)
        if length > bounds.WILDCARDS:
            raise ValueError(
                f"patterns of {length} characters; {bounds.WILDCARDS} are read at most"
            )

    def find(self, name: str) -> Any:
        """The value for a name; None if no pattern matches it."""
        for pattern, value in self._values.items():
            if pattern in self._plain:
                is_meant = self._plain[pattern].match(name) is not None
            else:
                is_meant = any(_ends_with(name, atoms) for atoms in self._wild[pattern])
            if is_meant:
                return value
        return None


def _compiled(pattern: str) -> list[list[_Atom]]:
    """The alternatives of a pattern, each as its characters; `^` is the empty first one."""
    return [list(_atoms(way, pattern)) for way in re.split(r"(?<!\\)\|", pattern)]


def _atoms(way: str, pattern: str) -> Iterator[_Atom]:
    at, end = 0, len(way) - (way.endswith("$") and not way.endswith("\\$"))
    if way.startswith("^"):
        yield _START
        at = 1
    while at < end:
        found = _ATOM.match(way, at, end)
        if found is None:
            raise ValueError(
                f"pattern {shown(pattern)}: {way[at]!r} is not read; write names, with '.', '*', "
                "'+', '?', classes and '|' at most"
            )
        how = (found[2] or " ")[0]
        try:
            yield _Atom(re.compile(found[1]), how in "*?", how in "*+")
        except re.error as error:
            raise ValueError(f"pattern {shown(pattern)}: {error}") from error
        at = found.end()


_START = _Atom(re.compile(r"(?!)"), False, False)


def _ends_with(name: str, atoms: list[_Atom]) -> bool:
    """Whether the atoms match from the start, or from behind a dot, to the end; all at once."""
    is_anchored = atoms[:1] == [_START]
    atoms = atoms[1:] if is_anchored else atoms
    states = _skipped({0}, atoms)
    for character in name:
        new = set(_stepped(states, atoms, character))
        if character == "." and not is_anchored:
            new.add(0)
        states = _skipped(new, atoms)
    return len(atoms) in states


def _stepped(states: Iterable[int], atoms: list[_Atom], character: str) -> Iterator[int]:
    for state in states:
        if state < len(atoms) and atoms[state].one.fullmatch(character):
            yield state + 1
            if atoms[state].is_repeated:
                yield state


def _skipped(states: set[int], atoms: list[_Atom]) -> set[int]:
    """The states and those reached from them over what may be left out."""
    for state in range(len(atoms)):
        if state in states and atoms[state].is_optional:
            states.add(state + 1)
    return states
