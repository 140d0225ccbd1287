"""The reconstruction gate: with the edit's own solver, and loud where little comes back."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from locstyle import Edit, Editor, Host, Region
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.job.gate import POOR, Gate
from locstyle.testing import random_style


def test_a_photo_that_comes_back_poorly_is_warned_of_with_what_helps() -> None:
    with pytest.warns(UserWarning, match=r"at 24\.1 dB, where .* gives 33\.8: .*--solver ddim"):
        Gate(33.8, 24.1, 12).warn()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Gate(33.8, 33.8 - POOR + 0.1, 12).warn()


def test_the_gate_goes_back_with_the_edits_own_solver(backbone: UNetBackbone) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    editor, region = Editor(backbone, Host()), Region("all", random_style(backbone, 1))
    found = {}
    for solver in ("ddim", "dpm++2m"):
        edit = Edit(photo, (region,), solver=solver, steps=4)
        found[solver] = editor.run(edit, check_inversion=True).report
    one, other = found["ddim"], found["dpm++2m"]
    assert one.autoencoder_psnr == other.autoencoder_psnr
    assert one.reconstruction_psnr != other.reconstruction_psnr
    assert one.check_rows == other.check_rows == 4
