"""Parts of a batch for machines that share nothing but files."""

from __future__ import annotations

import os
from collections.abc import Mapping

from locstyle.errors import RecipeError

_ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
_STEP = "SLURM_ARRAY_TASK_STEP"

Shard = tuple[int, int]
"""Which part, counted from 0, of how many."""


def read_shard(text: str) -> Shard:
    """`2/5` as the second of five.

    Raises:
        RecipeError: it is no such text.
    """
    number, slash, count = text.partition("/")
    is_whole = slash and number.isdecimal() and count.isdecimal()
    if not is_whole or not 1 <= int(number) <= int(count):
        raise RecipeError(f"--shard {text!r}: give I/N with I from 1 to N, such as 1/4")
    return int(number) - 1, int(count)


def of_array(environment: Mapping[str, str] = os.environ) -> Shard | None:
    """The part that a job of a SLURM array has; None outside of one.

    Raises:
        RecipeError: the array's numbers have gaps, so that nobody can tell the parts.
    """
    found = [environment.get(name, "") for name in _ARRAY]
    if not found[0]:
        return None
    step = environment.get(_STEP, "1")
    if all(text.isdecimal() for text in (*found, step)) and int(step):
        task, first, count = map(int, found)
        number, rest = divmod(task - first, int(step))
        last = int(environment.get("SLURM_ARRAY_TASK_MAX", first + (count - 1) * int(step)))
        if not rest and 0 <= number < count and last == first + (count - 1) * int(step):
            return number, count
    raise RecipeError(
        f"shard: SLURM's array {dict(zip(_ARRAY, found, strict=True))} has gaps or says too "
        "little; give --shard I/N"
    )
