"""Training pictures: the paired world rendered once into a work folder, and public photos."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from locstyle_plugins.world import TRAINING_STYLES, TRAINING_WORLD, World, WorldScene
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Prompts = tuple[str, str, str]
"""From the fullest to the shortest: everything, the things alone, the medium alone."""
Rendered = tuple[Pictures, Prompts]
Job = TypeVar("Job")
Result = TypeVar("Result")

SIZE = 128  # side of a picture in pixels
LARGE = 256  # side of the fewer pictures that show more detail
LARGE_SHARE = 12  # one scene in so many is rendered large as well

_STYLES_PER_SCENE = 2
_WORTH_PROCESSES = 64  # scenes
_PHOTOS = (  # bundled with scikit-image; chelsea is kept for measuring
    "astronaut.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "gravel.png",
    "grass.png",
    "brick.png",
)


@dataclass(frozen=True)
class Dataset:
    """Pictures [N, size, size, 3] with the prompts of each."""

    pictures: Pictures
    prompts: list[Prompts]


def dataset(work: Path, *, scenes: int, seed: int = TRAINING_WORLD, size: int = SIZE) -> Dataset:
    """The pictures of `scenes` scenes, rendered on the first call and then read from `work`."""
    folder = work / (f"world-{seed}-{scenes}" + ("" if size == SIZE else f"-{size}"))
    if not (folder / "prompts.json").exists():
        _render(folder, scenes, seed, size)
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    prompts = json.loads((folder / "prompts.json").read_text())
    return Dataset(pictures, [tuple(variants) for variants in prompts])


def _render(folder: Path, scenes: int, seed: int, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shape = (scenes * (1 + _STYLES_PER_SCENE), size, size, 3)
    pictures = np.lib.format.open_memmap(
        folder / "pictures.npy", mode="w+", dtype=np.uint8, shape=shape
    )
    prompts: list[Prompts] = []
    jobs = [(seed, number, size) for number in range(scenes)]
    for rendered in in_parallel(_render_scene, jobs):
        for picture, variants in rendered:
            pictures[len(prompts)] = picture
            prompts.append(variants)
    pictures.flush()
    # written last: its presence says that the pictures are complete
    partial = folder / "prompts.json.part"
    partial.write_text(json.dumps(prompts))
    os.replace(partial, folder / "prompts.json")


def in_parallel(render: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """`render` of every job in order, by as many processes as there are cores if it is worth it."""
    if len(jobs) < _WORTH_PROCESSES:
        yield from map(render, jobs)
        return
    # spawn: forking a process that already runs torch threads can hang
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        yield from pool.imap(render, jobs, chunksize=16)


def _render_scene(job: tuple[int, int, int]) -> list[Rendered]:
    cv2.setNumThreads(1)
    seed, number, size = job
    scene = World(seed, size).scene(number)
    rng = np.random.default_rng((seed, number, 3))
    chosen = rng.choice(TRAINING_STYLES, _STYLES_PER_SCENE, replace=False)
    rendered = [(scene.photo, _variants("a photo", scene))]
    for style in map(str, chosen):
        medium = f"a painting in {style} style"
        rendered.append((scene.render(style), _variants(medium, scene)))
    return rendered


def _variants(medium: str, scene: WorldScene) -> Prompts:
    full = f"{medium} of {scene.caption}"
    return full, f"{medium} of {scene.things}" if scene.things else full, medium


def public_photos() -> list[Pictures]:
    """Photos that come with scikit-image, each at several scales, at least 128 pixels a side."""
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    return [
        scaled
        for name in _PHOTOS
        if (folder / name).exists()
        for scaled in _pyramid(read_photo(folder / name))
    ]


def read_photo(path: Path) -> Pictures:
    """An image file as 8-bit RGB [H, W, 3]."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _pyramid(photo: Pictures) -> Iterator[Pictures]:
    while min(photo.shape[:2]) >= SIZE:
        yield photo
        photo = cv2.resize(photo, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)


@dataclass
class Crops:
    """Random square crops for the autoencoder; a quarter of them from public photos."""

    world: Pictures
    photos: list[Pictures]
    size: int  # pixels
    rng: np.random.Generator
    photo_share: float = 0.25

    def batch(self, count: int) -> Pictures:
        """[count, size, size, 3], mirrored half of the time, colours permuted now and then."""
        return np.stack([self._crop() for _ in range(count)])

    def _crop(self) -> Pictures:
        rng, size = self.rng, self.size
        if self.photos and rng.random() < self.photo_share:
            picture = self.photos[rng.integers(len(self.photos))]
        else:
            picture = self.world[rng.integers(len(self.world))]
        y, x = (rng.integers(0, side - size + 1) for side in picture.shape[:2])
        crop = picture[y : y + size, x : x + size]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        return crop[..., rng.permutation(3)] if rng.random() < 0.2 else crop
