"""What a benchmark run is shown as: intervals, tables, the page, the sheet."""

from __future__ import annotations

import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fake_bench import CAPTION, draw_pictures, fake_results
from hypothesis import given, settings
from hypothesis import strategies as st
from locstyle_plugins.bench import html
from locstyle_plugins.bench.html import check_extra, render, write_report
from locstyle_plugins.bench.results import FIGURES, Results, Score
from locstyle_plugins.bench.sheet import CELL, spread, write_sheet
from locstyle_plugins.bench.statistics import interval
from locstyle_plugins.bench.summary import Summary, heading, with_interval, written
from locstyle_plugins.bench.table import tables
from PIL import Image
from rich.console import Console

import locstyle as ls

FIGURE = {figure.key: figure for figure in FIGURES}


@pytest.fixture(scope="module")
def results() -> Results:
    return fake_results(3)


@pytest.fixture(scope="module")
def out(results, tmp_path_factory) -> Path:
    return draw_pictures(results, tmp_path_factory.mktemp("run"), side=32)


@pytest.fixture(scope="module")
def page(results, out) -> str:
    return write_report(results, out).read_text("utf-8")


# Intervals.

scores = st.lists(
    st.tuples(st.floats(-100, 100), st.sampled_from("abcd")), min_size=1, max_size=12
).map(lambda rows: tuple(zip(*rows, strict=True)))


@given(scores)
@settings(max_examples=40, deadline=None)
def test_an_interval_holds_its_mean_and_stays_within_the_values(rows):
    values, groups = rows
    found = interval(values, groups)
    assert found.low <= found.mean <= found.high
    assert found.mean == pytest.approx(np.mean(values))
    assert found.count == len(set(groups))
    assert min(values) - 1e-9 <= found.low and found.high <= max(values) + 1e-9
    assert interval(values, groups) == found


@given(scores, st.floats(-50, 50), st.floats(0.1, 20))
@settings(max_examples=30, deadline=None)
def test_shifted_and_scaled_values_shift_and_scale_the_interval(rows, shift, scale):
    values, groups = rows
    one, other = interval(values, groups), interval([shift + scale * v for v in values], groups)
    for end in ("mean", "low", "high"):
        assert getattr(other, end) == pytest.approx(shift + scale * getattr(one, end), abs=1e-6)


def test_more_scenes_narrow_the_interval_and_more_regions_of_the_same_do_not():
    values = np.random.default_rng(0).normal(size=64).tolist()
    names = [str(n) for n in range(64)]
    few, many = interval(values[:8], names[:8]), interval(values, names)
    again = interval(values[:8] * 8, names[:8] * 8)
    assert many.half < 0.6 * few.half
    assert again.half == pytest.approx(few.half)


def test_one_scene_gives_its_mean_and_no_more():
    found = interval([1.0, 2.0, 6.0], ["a"] * 3)
    assert (found.mean, found.low, found.high, found.count) == (3, 3, 3, 1)
    assert with_interval(FIGURE["closed"], found) == "3.000"


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0], ["a", "b"])])
def test_values_without_scenes_are_refused(values, groups):
    with pytest.raises(ValueError, match="values for"):
        interval(values, groups)


# The summary.


def one_figure(key: str, **of_method: list[float]) -> Results:
    """Results with one figure only, a value a scene."""
    base = fake_results(len(next(iter(of_method.values()))))
    rows = [
        Score(case.name, method.replace("_", " "), 0, {key: value})
        for method, values in of_method.items()
        for case, value in zip(base.cases, values, strict=True)
    ]
    kinds = {"recolour": "baseline", "redrawn": "ceiling"}
    methods = {score.method: kinds.get(score.method, "edit") for score in rows}
    return replace(base, scores=rows, methods=methods)


def test_a_loss_is_named_only_where_every_edit_loses():
    lost = Summary(one_figure("closed", one=[0.1, 0.2], two=[0.3, 0.3], recolour=[0.4, 0.5]))
    (loss,) = lost.losses()
    assert (loss.edit, loss.baseline, loss.is_clear) == ("two", "recolour", True)
    assert loss.by.mean == pytest.approx(-0.15)
    assert not [*Summary(one_figure("closed", one=[0.1], two=[0.6], recolour=[0.5])).losses()]
    better = one_figure("seam", one=[0.1], two=[0.6], recolour=[0.5])
    assert not [*Summary(better).losses()]


def test_a_difference_within_the_scatter_is_no_clear_loss():
    torn = one_figure("closed", one=[0.0, 0.9, 0.4], recolour=[0.5, 0.5, 0.4])
    (loss,) = Summary(torn).losses()
    assert not loss.is_clear


def test_one_scene_makes_nothing_clear():
    (loss,) = Summary(one_figure("closed", one=[0.1], recolour=[0.5])).losses()
    assert not loss.is_clear


def test_methods_are_compared_on_the_regions_that_both_have():
    results = one_figure("closed", one=[0.1, 0.5], recolour=[0.2, 0.0])
    results.scores.pop()
    by = Summary(results).difference("closed", "one", "recolour")
    assert by and by.mean == pytest.approx(-0.1) and by.count == 1


def test_best_follows_the_arrow_and_is_an_edit():
    up = Summary(one_figure("closed", one=[0.1], two=[0.3], redrawn=[1.0], recolour=[0.9]))
    assert up.best(FIGURE["closed"]) == "two"
    assert up.best(FIGURE["closed"], kinds=("baseline",)) == "recolour"
    down = Summary(one_figure("seam", one=[0.1], two=[0.3]))
    assert down.best(FIGURE["seam"]) == "one"
    assert down.best(FIGURE["closed"]) is None


def test_edits_that_read_alike_share_the_honour():
    summary = Summary(one_figure("seam", one=[0.101], two=[0.102], recolour=[0.1]))
    marked = [m for m in summary.methods() if summary.is_best(FIGURE["seam"], m)]
    assert marked == ["one", "two"]


def test_styles_part_the_scores(results):
    summary = Summary(results)
    parts = [summary.mean("edges", "recolour", style) for style in summary.styles]
    whole = summary.mean("edges", "recolour")
    assert whole and all(parts)
    assert min(p.mean for p in parts) <= whole.mean <= max(p.mean for p in parts)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("outside_identical", 0.99876, "99.88"),
        ("rows", 120.0, "120"),
        ("leak_colour", -0.0001, "0.000"),
        ("seam", None, "–"),
    ],
)
def test_numbers_have_the_digits_of_their_figure(key, value, text):
    assert written(FIGURE[key], value) == text


def test_headings_say_unit_and_direction_once():
    assert heading(FIGURE["psnr_truth"]).split() == ["PSNR", "to", "truth", "↑", "dB"]
    assert heading(FIGURE["rows"]).split() == ["rows", "↓"]


# The terminal.


def printed(results: Results, width: int) -> str:
    console = Console(width=width, color_system=None, file=io.StringIO())
    for table in tables(results, width=width):
        console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_tables_fit_the_width_and_cut_no_number(results, width):
    text = printed(results, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    summary = Summary(results)
    for method in summary.methods("edit"):
        for figure in summary.of("region"):
            assert with_interval(figure, summary.mean(figure.key, method)) in text
    for label in ("closed", "outside", "gate", *summary.styles):
        assert label in text


def test_tables_take_results_with_figures_missing(results):
    bare = fake_results(2, has_truth=False)
    text = printed(bare, 100)
    assert "texture to truth" not in text and "By style: texture to style" in text
    assert tables(replace(results, scores=[])) == []


def test_a_method_that_was_not_measured_takes_no_row(results):
    costs = [t for t in tables(results, width=160) if t.title.startswith("Outside")]
    (names,) = (list(t.columns[0].cells) for t in costs)
    assert "singlepass + lora" in names and "input" not in names


# The page.


class Page(HTMLParser):
    """What a page refers to, says, and leaves open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_well_formed_and_needs_nothing_else(page):
    read = Page(page)
    assert read.open == []
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in read.tags}
    for tag, attributes in read.tags:
        for name in ("src", "href", "xlink:href"):
            place = attributes.get(name) or "#"
            assert place.startswith(("#", "data:image/")), (tag, place)
    assert "url(http" not in page and "@import" not in page


def test_ids_are_unique_and_every_reference_meets_one(page):
    ids = [a["id"] for _, a in Page(page).tags if a.get("id")]
    assert len(ids) == len(set(ids))
    asked = {a["href"][1:] for _, a in Page(page).tags if (a.get("href") or "").startswith("#")}
    assert asked and asked <= set(ids)


def test_every_case_method_figure_and_setting_is_on_the_page(page, results):
    text = Page(page).text
    summary = Summary(results)
    for word in (
        *(case.name for case in results.cases),
        *results.methods,
        *(figure.label for figure in summary.figures),
        *(figure.says for figure in summary.figures),
        *results.settings,
        *results.notes,
        *(loss.baseline for loss in summary.losses()),
    ):
        assert word in text, word


def test_what_a_case_says_is_escaped(page):
    assert CAPTION not in page
    assert CAPTION in Page(page).text


def test_every_picture_says_what_it_is(page, results):
    pictures = [a for tag, a in Page(page).tags if tag == "img"]
    shown = sum(3 + len(case.regions) + len(results.methods) for case in results.cases)
    assert len(pictures) == shown
    assert all(a["alt"] and a["width"] == "32" for a in pictures)


def test_plots_take_the_colour_of_the_page(page):
    assert page.count("<svg") == 3
    assert "currentColor" in page and "#010203" not in page
    assert "prefers-color-scheme: dark" in page


def test_equal_runs_give_equal_bytes(page, results, out):
    again = Results.from_dict(results.to_dict())
    assert render(again, out) == page
    first = write_sheet(results, out).read_bytes()
    assert write_sheet(again, out).read_bytes() == first


def test_a_page_without_truth_claims_none(tmp_path):
    text = Page(render(fake_results(2, has_truth=False), tmp_path)).text
    assert "Nobody knows how these photos should look" in text
    assert "oracle" not in text and "truth" not in text


def test_a_run_without_any_score_still_makes_a_page(results, tmp_path):
    empty = replace(results, scores=[])
    assert Page(render(empty, tmp_path)).open == []


def test_large_pictures_shrink_on_the_page_only(results, tmp_path):
    draw_pictures(replace(results, cases=results.cases[:1]), tmp_path, side=32)
    path = tmp_path / "pictures" / "scene-2000" / "photo.png"
    Image.new("RGB", (900, 450), "teal").save(path)
    sizes = [a["width"] for tag, a in Page(render(results, tmp_path)).tags if tag == "img"]
    assert sizes[0] == str(html.LARGEST)
    with Image.open(path) as file:
        assert file.width == 900


def test_a_missing_extra_is_said_before_any_work(monkeypatch, results, tmp_path):
    found = html.find_spec
    monkeypatch.setattr(
        html, "find_spec", lambda name: None if name == "matplotlib" else found(name)
    )
    with pytest.raises(ls.LocstyleError, match=r"matplotlib missing; pip install 'matplotlib"):
        check_extra()
    with pytest.raises(ls.LocstyleError, match="matplotlib missing"):
        write_report(results, tmp_path)
    assert not list(tmp_path.iterdir())


# The sheet.


def test_the_sheet_has_a_row_a_case_and_a_column_a_picture(results, out):
    with Image.open(write_sheet(results, out)) as file:
        sheet = file.convert("RGB")
    columns = 3 + max(len(case.regions) for case in results.cases) + len(results.methods) - 1
    assert columns * CELL < sheet.width < columns * (CELL + 12)
    assert 3 * CELL < sheet.height < 3 * (CELL + 60)
    with Image.open(out / "pictures" / "scene-2000" / "photo.png") as file:
        photo = np.asarray(file.convert("RGB"), float)
    shown = np.asarray(sheet.crop((6, 40, 6 + CELL, 40 + CELL)).resize((32, 32)), float)
    assert np.abs(shown - photo).mean() < 8


def test_a_long_run_shows_cases_from_first_to_last():
    cases = fake_results(11).cases
    chosen = spread(cases, 4)
    assert len(chosen) == 4 and chosen[0] is cases[0] and chosen[-1] is cases[-1]
    assert spread(cases[:3], 4) == cases[:3] and spread(cases, 1) == cases[:1]
