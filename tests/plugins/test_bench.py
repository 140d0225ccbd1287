"""`locstyle bench quality`: the figures mean what they say, and a run can stop anywhere."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from locstyle_plugins.bench import methods as methods_module
from locstyle_plugins.bench import runner
from locstyle_plugins.bench.baselines import Bench, pasted
from locstyle_plugins.bench.cases import Case, StylePicture, world_cases
from locstyle_plugins.bench.methods import methods
from locstyle_plugins.bench.photos import areas
from locstyle_plugins.bench.results import FIGURES, GATE, Results
from locstyle_plugins.bench.runner import run_quality
from locstyle_plugins.bench.scoring import Gap, Scorer, goal_of, leaked
from locstyle_plugins.bench.settings import Settings, read_encoder_options, read_regions
from locstyle_plugins.world import HELD_OUT_STYLES
from PIL import Image

import locstyle as ls
from locstyle.cli import main
from locstyle.testing import random_style, tiny_backbone

# The tiny backbone reads letter by letter, and no more than 16 of them.
pytestmark = pytest.mark.filterwarnings("ignore:.*longer than .*the text window")
TIMED = {"seconds", "memory", "setup_seconds"}


class Quick:
    """A style encoder that draws its styles."""

    makes = frozenset({"deltas"})
    made: list[str]

    def encode(self, images, backbone, request, on_step):
        Quick.made.append(request.name)
        seed = int(np.asarray(images[0]).sum() % 1000)
        return replace(random_style(backbone, seed), name=request.name)


class FirstOnly:
    """A fusion in which no region can leak: it styles the first and knows of no other."""

    carries = frozenset({"deltas"})
    requires_roles = frozenset()
    inversion = ls.Inversion()

    def plan(self, scene: ls.Scene) -> ls.Plan:
        first = ls.Branch("+", scene.regions[0].text, 1)
        deltas = ls.Deltas(scene.regions, ls.Ownership(scene.partition))
        return ls.Plan((first,), (deltas,), lambda seen, call: seen["+"])


class Finished(NamedTuple):
    settings: Settings
    results: Results
    made: list[str]


class Tiny:
    """What the tests' host has besides: a backbone, an encoder, a fusion."""

    @ls.hookimpl
    def register_backbones(self, register: ls.Register) -> None:
        register("tiny", lambda name, device, dtype: tiny_backbone())

    @ls.hookimpl
    def register_style_encoders(self, register: ls.Register) -> None:
        register("quick", Quick)

    @ls.hookimpl
    def register_fusions(self, register: ls.Register) -> None:
        register("first-only", FirstOnly)


@pytest.fixture(scope="module")
def host() -> Iterator[ls.Host]:
    with ls.Host(allow=("singlepass", "bench")).temporarily(Tiny(), name="tiny") as host:
        yield host


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    Quick.made = []


def settings_in(out: Path) -> Settings:
    return Settings(out, scenes=1, regions=(2,), steps=2, size=64, backbone="tiny", device="cpu")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path / "run")


@pytest.fixture(scope="module")
def finished(host: ls.Host, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One run of every method; tests that write work on a copy."""
    Quick.made = []
    settings = settings_in(tmp_path_factory.mktemp("bench") / "run")
    with warnings.catch_warnings():  # a module's fixture runs outside of the tests' filters
        warnings.simplefilter("ignore")
        results = run_quality(settings, host)
    return Finished(settings, results, list(Quick.made))


def copied(finished: Finished, out: Path) -> Settings:
    shutil.copytree(finished.settings.out, out)
    return replace(finished.settings, out=out)


@pytest.fixture(scope="module")
def case() -> Case:
    """A scene with regions large enough for every figure: its left and its right."""
    (scene,) = world_cases(1, [2], 64)
    left, right = np.zeros((2, 64, 64), bool)
    left[:, :26], right[:, 38:] = True, True
    return replace(scene, masks=(left, right))


def command(host: ls.Host, out: Path, *options: str) -> Result:
    given = ["bench", "quality", "-o", str(out), "--backbone", "tiny", "--steps", "2"]
    given += ["--scenes", "1", "--regions", "2", "--size", "64", "--device", "cpu", *options]
    return CliRunner().invoke(main, given, obj=host, catch_exceptions=False)


def untimed(results: Results) -> list[tuple[object, ...]]:
    return [
        (s.case, s.method, s.region, {k: v for k, v in s.figures.items() if k not in TIMED})
        for s in results.scores
    ]


# The figures


def test_recolouring_to_the_reference_closes_nothing_and_the_ceiling_everything(case):
    scorer = Scorer(case)
    painted = pasted(case, case.redrawn)
    assert any("closed" in figures for figures in scorer.regions(painted))
    for index, (mask, figures) in enumerate(zip(case.masks, scorer.regions(painted), strict=True)):
        assert figures.get("closed", 1) == pytest.approx(1)
        recoloured = goal_of(case, index, index).recoloured(case.photo, mask)
        figures = scorer.regions(recoloured)[index]
        assert figures.get("closed", 0) == pytest.approx(0, abs=1e-6)
        assert figures["beyond_recolour"] == pytest.approx(0, abs=1e-6)


def test_the_photo_keeps_everything_and_the_truth_reaches_everything(case):
    photo, truth = (Scorer(case).regions(one) for one in (case.photo, pasted(case, case.truths)))
    for kept, reached in zip(photo, truth, strict=True):
        assert kept["edges"] == pytest.approx(1) and kept["ssim"] == pytest.approx(1)
        assert kept["seam"] == pytest.approx(1)
        assert reached["texture_truth"] < 0.3 * kept["texture_truth"]
        assert reached["psnr_truth"] > kept["psnr_truth"] + 3
    assert Scorer(case).edit(case.photo) == {"outside_identical": 1.0}


def test_a_share_of_too_small_a_gap_is_no_figure():
    assert np.isnan(Gap(0.15, 0.1).closed(0.1)) and np.isnan(Gap(0.05, 0.0).beyond(0.0))
    assert np.isnan(Gap(1.2, 1.0).closed(0.5))  # a ceiling hardly better than recolouring
    assert Gap(1.0, 0.5).closed(0.75) == 0.5


def test_a_leak_is_what_the_last_style_adds_to_the_others(case):
    (none,) = leaked(case, case.photo, case.photo)
    assert none == {"leak_texture": 0, "leak_colour": 0}
    flooded = case.photo.copy()
    flooded[case.masks[0]] = case.truths[1][case.masks[0]]  # the last style all over the first
    (all_over,) = leaked(case, flooded, case.photo)
    assert all_over["leak_colour"] == pytest.approx(1) and all_over["leak_texture"] > 0.9


def test_a_fusion_that_cannot_leak_scores_none(finished):
    scores = finished.results.scores
    (leak,) = (s.figures for s in scores if s.method == "first-only + quick" and s.region == 0)
    # filters of the texture reach a little across the region's border
    assert leak["leak_colour"] == 0 and leak.get("leak_texture", 0) == pytest.approx(0, abs=1e-3)


def test_a_metric_that_cannot_run_is_dropped_with_one_warning(case):
    def refuse(*given):
        raise ls.PluginError("no weights")

    brightness = SimpleNamespace(needs="style", measure=lambda out, ref, mask: out[mask].mean())
    metrics = {"bright": brightness, "absent": SimpleNamespace(needs="truth", measure=refuse)}
    scorer = Scorer(case, metrics)
    with pytest.warns(UserWarning, match="absent.*no weights"):
        (first, _) = scorer.regions(case.photo)
    assert first["metric:bright"] == pytest.approx(case.photo[case.masks[0]].mean())
    assert list(metrics) == ["bright"] and "metric:absent" not in first


# The cases


def test_every_scene_is_met_once_and_every_style_about_equally():
    cases = list(world_cases(2, [1, 2, 4], 64))
    assert [len(case.masks) for case in cases] == [1, 1, 2, 2, 4, 4]
    assert len({case.name for case in cases}) == 6
    met = [style.name for case in cases for style in case.styles]
    counts = [met.count(style) for style in HELD_OUT_STYLES]
    assert max(counts) - min(counts) <= 1
    for case in cases:
        assert np.stack(case.masks).sum(0).max() == 1
        assert all(0.04 <= mask.mean() <= 0.7 for mask in case.masks)


def test_cases_are_the_same_every_time_and_more_scenes_keep_the_first_ones():
    (one,), (same, _) = world_cases(1, [2], 64), world_cases(2, [2], 64)
    assert one.digest == same.digest


def test_automatic_areas_follow_the_colours_of_a_picture():
    photo = np.zeros((64, 96, 3), np.uint8)
    photo[:, :30], photo[:20, 30:], photo[20:, 30:] = (200, 30, 30), (30, 30, 200), (30, 160, 30)
    left, top = sorted(areas(photo, 2), key=lambda mask: int(mask[:, :30].sum()))[::-1]
    assert left[:, :28].all() and not left[:, 32:].any()
    assert top[:18, 32:].all() and not top[22:].any()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_automatic_areas_are_disjoint_and_neither_tiny_nor_everything(count):
    rng = np.random.default_rng(count)
    blocks = rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(12, 0).repeat(12, 1)
    masks = areas(blocks, count)
    assert 1 <= len(masks) <= count and np.stack(masks).sum(0).max() == 1
    assert all(0.04 <= mask.mean() <= 0.7 for mask in masks)


def test_a_photo_of_one_colour_still_has_areas():
    masks = areas(np.full((40, 40, 3), 128, np.uint8), 3)
    assert masks and all(0.04 <= mask.mean() <= 0.7 for mask in masks)


# A run


def test_a_run_scores_every_method_on_every_case(finished):
    settings, results, _ = finished
    assert list(results.methods) == [
        "input", "recolour", "img2img paste", "adain paste", "first-only + quick",
        "singlepass + quick", "oracle", "redrawn",
    ]  # fmt: skip
    (case,) = results.cases
    scored = {(score.method, score.region) for score in results.scores}
    assert scored == {(m, r) for m in results.methods for r in (None, 0, 1)} | {(GATE, None)}
    keys = {key for score in results.scores for key in score.figures}
    assert keys <= {figure.key for figure in FIGURES}
    assert {"psnr_truth", "rows", "gate_gap", "leak_colour", "setup_seconds", "seam"} <= keys
    saved = json.loads((settings.out / "results.json").read_text())
    assert Results.from_dict(saved).to_dict() == results.to_dict()
    pictures = {path.stem for path in (settings.out / "pictures" / case.name).iterdir()}
    assert {"photo", "regions", "truth", "style-0", "style-1", "singlepass-quick"} <= pictures


def test_edits_are_told_apart_by_their_rows(finished):
    scores = finished.results.scores
    rows = {s.method: s.figures["rows"] for s in scores if "rows" in s.figures}
    # two regions, two steps: one of them denoised by img2img; the photo's own row in one step
    assert rows["img2img paste"] == 4 and rows["adain paste"] == 0
    assert rows["first-only + quick"] == 2
    assert rows["singlepass + quick"] == 2 * 2 + 1


def test_a_second_run_does_nothing_twice_and_a_lost_record_is_made_again(
    host, finished, tmp_path, monkeypatch
):
    settings, first = copied(finished, tmp_path / "run"), finished.results
    assert len(finished.made) == 2
    done: list[str] = []
    scored = runner._Running._run

    def counted(self, scorer, method, styles):
        done.append(method.name)
        return scored(self, scorer, method, styles)

    monkeypatch.setattr(runner._Running, "_run", counted)
    assert run_quality(settings, host).to_dict() == first.to_dict()
    assert done == [] and Quick.made == []
    (record,) = settings.out.glob("runs/*/recolour.json")
    record.unlink()
    (picture,) = settings.out.glob("pictures/*/oracle.png")
    picture.unlink()
    assert untimed(run_quality(settings, host)) == untimed(first)
    assert done == ["recolour", "oracle"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_another_one_others(host, finished, tmp_path):
    again = replace(finished.settings, out=tmp_path / "again")
    assert untimed(run_quality(again, host)) == untimed(finished.results)
    other = replace(again, out=tmp_path / "other", seed=1, methods=("img2img paste",))
    regions = [score for score in untimed(run_quality(other, host)) if score[2] is not None]
    assert regions and not any(score in untimed(finished.results) for score in regions)


def test_an_interrupted_run_goes_on_where_it_stopped(host, settings, monkeypatch):
    def interrupt(bench, case, styles):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(methods_module.baselines, "adain", interrupt)
        stopped = command(host, settings.out)
    assert stopped.exit_code == 130 and "goes on" in stopped.stderr
    kept = {path.stem for path in settings.out.glob("runs/*/*.json")}
    assert kept == {GATE, "input", "recolour", "img2img-paste"}
    times = {path: path.stat().st_mtime_ns for path in settings.out.glob("runs/*/*.json")}
    run_quality(replace(settings, methods=("adain paste",)), host)
    assert (settings.out / "results.json").exists()
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_a_method_that_fails_is_named_and_costs_the_run_nothing_else(host, settings, monkeypatch):
    def fail(bench, case, styles):
        raise ls.DenoiseError("step 1 is not finite")

    monkeypatch.setattr(methods_module.baselines, "adain", fail)
    few = replace(settings, methods=("adain paste", "recolour"), leak=False)
    results = run_quality(few, host)
    (note,) = results.notes
    assert note.startswith("adain paste on scene-") and "step 1" in note
    assert {score.method for score in results.scores} == {GATE, "recolour"}
    assert not list(settings.out.glob("runs/*/adain-paste.json"))  # so it is tried again


def test_an_encoder_that_fails_costs_the_run_nothing_else(host, settings, monkeypatch):
    def fail(self, images, backbone, request, on_step):
        raise ls.StyleError("there are no weights")

    monkeypatch.setattr(Quick, "encode", fail)
    few = replace(settings, methods=("first-only + quick", "recolour"), leak=False)
    results = run_quality(few, host)
    assert any("no weights" in note for note in results.notes)
    assert {score.method for score in results.scores} == {GATE, "recolour"}


def test_the_oracle_is_nearer_to_the_truth_than_the_photo():
    """On the shipped autoencoder; a random one has no oracle."""
    editor = ls.Editor.load("mini", device="cpu")
    (case,) = world_cases(1, [1], 64)
    bench = Bench(editor, Settings(Path(), size=64), print)
    with torch.inference_mode():
        found, _ = methods(editor.host, editor.backbone, bench.settings)
        pictures = {m.name: m.run(bench, case, []).picture for m in found if not m.encoder}
    (mask,), (truth,) = case.masks, case.truths
    scores = {name: ls.measure.psnr(one, truth, mask) for name, one in pictures.items()}
    assert scores["oracle"] > scores["input"] + 1


# The command


def test_the_command_prints_tables_and_writes_the_report(host, finished, tmp_path):
    settings = copied(finished, tmp_path / "run")
    result = command(host, settings.out)
    assert result.exit_code == 0, result.output
    assert "singlepass + quick" in result.stdout.replace("\n", " ")
    for name in ("results.json", "report.html", "sheet.png"):
        assert (settings.out / name).stat().st_size > 0
    printed = command(host, settings.out, "--json").stdout
    assert json.loads(printed) == json.loads((settings.out / "results.json").read_text())


def test_other_settings_are_refused_by_name_unless_told_to_begin_anew(host, settings):
    few = replace(settings, methods=("input",), leak=False)
    run_quality(few, host)
    other = replace(few, seed=3)
    with pytest.raises(ls.OutputError, match="seed 0, now 3"):
        run_quality(other, host)
    run_quality(other, host, fresh=True)
    assert run_quality(replace(other, methods=("recolour",)), host).methods == {
        "recolour": "baseline"
    }


@pytest.mark.parametrize(
    "name", ["report.html", "settings.json", "pictures/mine.png", "runs/mine.json"]
)
def test_what_no_run_wrote_is_neither_replaced_nor_thrown_away(host, settings, name):
    path = settings.out / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    few = replace(settings, methods=("input",), leak=False)
    for fresh in (False, True):
        with pytest.raises(ls.OutputError, match="is not as `locstyle bench quality` writes it"):
            run_quality(few, host, fresh=fresh)
    assert [p for p in settings.out.rglob("*") if p.is_file()] == [path]
    assert path.read_text() == "mine"


def test_beginning_anew_leaves_what_was_put_beside_a_run(host, settings):
    few = replace(settings, methods=("input",), leak=False)
    run_quality(few, host)
    (settings.out / "pictures" / "notes.txt").write_text("mine")
    run_quality(replace(few, seed=3), host, fresh=True)
    assert (settings.out / "pictures" / "notes.txt").read_text() == "mine"


def test_real_pictures_are_scored_without_a_truth(host, settings, tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("photos", "paintings"):
        (tmp_path / folder).mkdir()
        for name in ("one.png", "two.jpg"):
            blocks = rng.integers(0, 256, (5, 4, 3), np.uint8).repeat(20, 0).repeat(20, 1)
            Image.fromarray(blocks).save(tmp_path / folder / name)
    folders = tmp_path / "photos", tmp_path / "paintings"
    results = run_quality(replace(settings, real=folders, methods=("singlepass",)), host)
    assert [case.name for case in results.cases] == ["one", "two"] and not results.has_truth
    assert list(results.methods) == ["singlepass + quick"]
    keys = {key for score in results.scores for key in score.figures}
    assert "texture_style" in keys and not any(key.endswith("_truth") for key in keys)


def test_ready_made_styles_are_used_and_not_made(host, settings, tmp_path):
    folder = tmp_path / "styles"
    folder.mkdir()
    (case,) = world_cases(1, [2], 64)
    random_style(tiny_backbone(), 5).save(
        folder / f"{case.styles[0].name.replace(' ', '-')}.safetensors"
    )
    run_quality(replace(settings, styles=folder, methods=("first-only",)), host)
    assert Quick.made == [case.styles[1].name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "singlepas"), "did you mean 'singlepass'?"),
        (("--regions", "1,5"), "from 1 to 4"),
        (("--encoder-option", "lora.steps=3"), "ENCODER:KEY=VALUE"),
        (("--encoder-option", "quik:steps=3"), "did you mean 'quick'?"),
        (("--encoder-option", "quick:steps=3"), "takes no options"),
        (("--styles", "nowhere"), "no such folder"),
        (("--real", "nowhere", "nowhere"), "no such folder"),
    ],
)
def test_a_mistake_is_named_before_anything_is_made(host, settings, options, said):
    result = command(host, settings.out, *options)
    assert result.exit_code == 2 and said in result.stderr
    assert not settings.out.exists()


def test_folders_that_cannot_be_used_are_named(host, settings, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"not a picture")
    for folder, said in (("empty", "no picture in it"), ("broken", "a.png")):
        result = command(host, settings.out, "--real", *[str(tmp_path / folder)] * 2)
        assert result.exit_code in (1, 2) and said in result.stderr
    (tmp_path / "file").write_text("")
    result = command(host, tmp_path / "file")
    assert result.exit_code == 1 and "choose another folder" in result.stderr


def test_regions_and_encoder_options_are_read():
    assert read_regions("3, 1,1") == (1, 3)
    assert read_encoder_options(["lora:steps=100", "lora:caption=a=b"]) == {
        "lora": {"steps": 100, "caption": "a=b"}
    }


def test_a_fusion_that_does_not_fit_the_backbone_is_left_out_and_named(host, settings):
    class Picky(FirstOnly):
        requires_roles = frozenset({"joint"})

    class Plugin:
        @ls.hookimpl
        def register_fusions(self, register: ls.Register) -> None:
            register("picky", Picky)

    with host.temporarily(Plugin(), name="picky"):
        found, notes = methods(host, tiny_backbone(), settings)
    assert not any("picky" in method.name for method in found)
    assert notes == ["picky: backbone 'tiny' has no joint layers"]


def test_style_pictures_answer_to_their_own_words():
    assert StylePicture("ink wash", np.zeros((2, 2, 3), np.uint8)).prompt == (
        "a painting in ink wash style"
    )
