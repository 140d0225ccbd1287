"""The training writes whole folders, goes on where it stopped, and reads any words."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from locstyle_lab import components, train_unet, train_vae
from locstyle_lab.lessons import Bucket, Stage, examples
from locstyle_lab.pictures import dataset
from locstyle_lab.training import Rates, Run, Trainee, replaced_folder

import locstyle as ls

TINY = components.Sizes(
    autoencoder=(8, 8, 16), unet=(16,) * 4, heads=(2,) * 4, groups=8, text=16, text_layers=1
)
STAGES = (
    Stage(0.5, (Bucket(8, 8, 4, 6),)),
    Stage(1.0, (Bucket(16, 16, 4, 6), Bucket(16, 8, 4, 6, 0.5), Bucket(40, 32, 1, 2, 0.2))),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    return Run(minutes=0.01, work=work, out=out, scenes=2)


@pytest.fixture(scope="module")
def trained(run: Run) -> Run:
    train_vae.train_autoencoder(run, TINY)
    train_unet.train_unet(run, TINY, STAGES)
    return run


def test_dataset_is_rendered_once(run: Run) -> None:
    first = dataset(run.work, scenes=run.scenes)
    assert first.pictures.shape == (6, 128, 128, 3) and len(first.prompts) == 6
    written = (run.work / "world-0-2" / "pictures.npy").stat().st_mtime_ns
    assert dataset(run.work, scenes=run.scenes).prompts == first.prompts
    assert (run.work / "world-0-2" / "pictures.npy").stat().st_mtime_ns == written


@pytest.mark.parametrize("shape", [(16, 16), (16, 8), (40, 32)])
def test_examples_have_the_shape_of_their_bucket(trained: Run, shape: tuple[int, int]) -> None:
    from locstyle_lab.pipeline import Pipeline

    pipeline = Pipeline.load(trained.out)
    known = examples(trained, Bucket(*shape, 4, 3), pipeline.autoencoder, pipeline.tokenizer)
    assert known.latents.shape == (3, 4, *shape) and known.tokens.shape == (3, 4, components.TOKENS)


def test_training_writes_a_whole_pipeline(trained: Run) -> None:
    index = json.loads((trained.out / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    parts = {path.name for path in trained.out.iterdir() if path.is_dir()}
    assert parts == {"vae", "unet", "text_encoder", "tokenizer", "scheduler"}
    assert not [path for path in trained.out.rglob("*") if path.suffix in (".part", ".old")]
    assert not list(trained.work.glob("*-state.safetensors"))


def test_written_networks_are_half_precision_safetensors(trained: Run) -> None:
    from safetensors.torch import load_file

    files = list(trained.out.rglob("*.safetensors"))
    assert len(files) == 3 and not list(trained.out.rglob("*.bin"))
    for file in files:
        assert {tensor.dtype for tensor in load_file(file).values()} <= {torch.half, torch.long}


def test_training_logs_the_held_out_loss(trained: Run) -> None:
    lines = (trained.work / "unet-log.jsonl").read_text().splitlines()
    assert all(np.isfinite(json.loads(line)["held_out"]) for line in lines) and lines


def test_training_starts_from_given_weights(trained: Run, tmp_path: Path) -> None:
    again = replace(trained, minutes=0.0, init=trained.out, out=tmp_path)
    train_unet.train_unet(again, TINY, STAGES)
    kind = "unet/diffusion_pytorch_model.safetensors"
    assert (tmp_path / kind).read_bytes() == (trained.out / kind).read_bytes()
    for config in tmp_path.rglob("*.json"):
        assert str(trained.out) not in config.read_text(), f"{config.name} names this machine"


def test_checkpoint_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first, second = (_trainee() for _ in range(2))
    for _ in range(3):
        first.learn(first.modules["net"](torch.ones(1, 2)).square().sum())
    first.save(tmp_path / "state.safetensors")
    second.load(tmp_path / "state.safetensors")
    for trainee in (first, second):
        trainee.learn(trainee.modules["net"](torch.ones(1, 2)).square().sum())
    assert second.step == 4 and second.seconds >= first.seconds - 1
    for name, parameter in first.parameters.items():
        assert torch.equal(parameter, second.parameters[name])
        assert torch.equal(first.average[name], second.average[name])
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


def test_averaged_weights_are_only_borrowed() -> None:
    trainee = _trainee()
    trainee.learn(trainee.modules["net"](torch.ones(1, 2)).square().sum())
    before = trainee.parameters["net.weight"].detach().clone()
    with trainee.averaged():
        assert torch.equal(trainee.parameters["net.weight"], trainee.average["net.weight"])
    assert torch.equal(trainee.parameters["net.weight"], before)


def _trainee() -> Trainee:
    torch.manual_seed(0)
    return Trainee({"net": torch.nn.Linear(2, 3)}, Rates(0.1, 0.9, 0.1, 1), minutes=1)


def test_a_failed_write_keeps_the_old_folder(tmp_path: Path) -> None:
    with replaced_folder(tmp_path / "part") as folder:
        (folder / "config.json").write_text("old")
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "part") as folder:
        (folder / "config.json").write_text("new")
        raise RuntimeError
    assert (tmp_path / "part" / "config.json").read_text() == "old"
    with replaced_folder(tmp_path / "part") as folder:
        (folder / "config.json").write_text("new")
    assert (tmp_path / "part" / "config.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize("name", ["unet", "unet.old", "unet.part"])
def test_a_folder_of_somebodys_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "diary.txt").write_text("mine")
    with suppress(ls.OutputError), replaced_folder(tmp_path / "unet") as folder:
        (folder / "config.json").write_text("new")
    assert (tmp_path / name / "diary.txt").read_text() == "mine"


def test_learning_rate_rises_holds_and_falls() -> None:
    rates = Rates(peak=1.0, plateau=0.5, floor=0.1, warm_up=10)
    assert rates.at(0, 0) == pytest.approx(0.1)
    assert rates.at(0.4, 100) == 1.0
    assert rates.at(1.0, 100) == pytest.approx(0.1)


def test_tokenizer_reads_words_it_never_saw(tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    tokenizer = components.new_tokenizer(["a photo of a red house", "a photo of a tree"] * 4)
    tokenizer.save_pretrained(tmp_path)
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    text = "a photo of a zebra café ☃"
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text
    assert len(tokenizer("a photo of a red house").input_ids) == 8
    assert components.token_ids(tokenizer, ["a", text * 9]).shape == (2, components.TOKENS)


def test_text_encoder_learns_a_larger_vocabulary_without_forgetting(trained: Run) -> None:
    from transformers import CLIPTokenizer

    old = CLIPTokenizer.from_pretrained(trained.out / "tokenizer")
    prompts = json.loads((trained.work / "world-0-2" / "prompts.json").read_text())
    full = [variants[0] for variants in prompts]
    new = components.new_tokenizer([*full, *["a zebra by a house"] * 9])
    assert "zebra</w>" in new.get_vocab() and "zebra</w>" not in old.get_vocab()
    before, after = (components.text_encoder_for(t, trained.out).eval() for t in (old, new))
    table = after.get_input_embeddings().weight
    spelled = old("zebra", add_special_tokens=False).input_ids
    mean = before.get_input_embeddings().weight[spelled].mean(0)
    assert torch.allclose(table[new.get_vocab()["zebra</w>"]], mean)
    same = next(text for text in ["a photo", *full] if old.tokenize(text) == new.tokenize(text))
    ids = [t(same).input_ids for t in (old, new)]
    rows = [
        encoder(torch.tensor([numbers])).last_hidden_state
        for encoder, numbers in zip((before, after), ids, strict=True)
    ]
    assert torch.allclose(*rows, atol=1e-5)


@pytest.mark.slow
def test_written_pipeline_paints_a_prompt(trained: Run) -> None:
    from locstyle_lab.pipeline import Pipeline, sample

    picture = sample(Pipeline.load(trained.out), ["a photo of a red house"])
    assert picture.shape == (1, 128, 128, 3) and picture.dtype == np.uint8
