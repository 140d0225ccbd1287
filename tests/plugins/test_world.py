"""The paired world is the same everywhere, and its masks, words and styles belong together."""

import numpy as np
import pytest
from locstyle_plugins.world import HELD_OUT_STYLES, STYLES, TRAINING_STYLES, World, WorldScene


@pytest.fixture(scope="module")
def scenes() -> list[WorldScene]:
    return [World(seed=7, size=64).scene(number) for number in range(12)]


def test_same_seed_gives_the_same_scene_and_styles(scenes: list[WorldScene]) -> None:
    again = World(seed=7, size=64).scene(3)
    assert np.array_equal(again.photo, scenes[3].photo)
    assert again.caption == scenes[3].caption
    assert np.array_equal(again.render("oil"), scenes[3].render("oil"))


def test_another_seed_gives_another_scene(scenes: list[WorldScene]) -> None:
    assert not np.array_equal(World(seed=8, size=64).scene(3).photo, scenes[3].photo)


def test_masks_are_disjoint_and_cover_the_photo(scenes: list[WorldScene]) -> None:
    for scene in scenes:
        assert (sum(mask.astype(int) for mask in scene.masks.values()) == 1).all()


def test_instances_refine_masks(scenes: list[WorldScene]) -> None:
    for scene in scenes:
        masks = scene.masks
        assert all(mask.any() and (mask <= masks[name]).all() for name, mask in scene.instances)


def test_photo_and_masks_have_the_asked_size() -> None:
    scene = World(size=96).scene(0)
    assert scene.photo.shape == (96, 96, 3) and scene.photo.dtype == np.uint8
    assert all(mask.shape == (96, 96) for mask in scene.masks.values())


def test_every_style_changes_the_photo_its_own_way(scenes: list[WorldScene]) -> None:
    scene = scenes[0]
    pictures = [scene.photo, *(scene.render(style) for style in STYLES)]
    for first, picture in enumerate(pictures):
        for other in pictures[:first]:
            assert np.abs(picture.astype(int) - other).mean() > 4


def test_held_out_styles_are_not_trained_on() -> None:
    assert len(STYLES) >= 16 and len(HELD_OUT_STYLES) >= 5
    assert not set(TRAINING_STYLES) & set(HELD_OUT_STYLES)
    assert set(TRAINING_STYLES) | set(HELD_OUT_STYLES) == set(STYLES)


def test_prompts_name_the_medium_and_the_caption(scenes: list[WorldScene]) -> None:
    scene = scenes[0]
    assert scene.prompt() == f"a photo of {scene.caption}"
    assert scene.prompt("mosaic") == f"a painting in mosaic style of {scene.caption}"


def test_named_things_have_masks(scenes: list[WorldScene]) -> None:
    for scene in scenes:
        for word, name in (("house", "house"), ("tree", "tree"), ("lake", "water")):
            if word in scene.caption:
                assert name in scene.masks


def test_close_ups_of_animals_people_and_fruit_occur_with_regions_to_edit() -> None:
    scenes = [World(seed=9, size=64).scene(number) for number in range(60)]
    captions = " ".join(scene.caption for scene in scenes)
    assert all(words in captions for words in ("a portrait of", "the head of", "on a table"))
    assert all(len(scene.caption.split()) <= 40 for scene in scenes)
    divided = [sum(mask.mean() >= 0.05 for mask in scene.masks.values()) >= 2 for scene in scenes]
    assert np.mean(divided) > 0.9


def test_a_portrait_offers_face_hair_and_clothes() -> None:
    scenes = (World(seed=9, size=64).scene(number) for number in range(60))
    portraits = [scene for scene in scenes if scene.caption.startswith("a portrait")]
    assert portraits and all({"face", "hair", "clothes"} <= set(one.masks) for one in portraits)


def test_an_unknown_style_is_refused_by_name(scenes: list[WorldScene]) -> None:
    with pytest.raises(ValueError, match="cubism"):
        scenes[0].render("cubism")
