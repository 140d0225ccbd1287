"""Learned words: vectors in the place of tokens, and a text encoder that never knows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from locstyle import RecipeError, StyleError
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import CONTEXT


def table(backbone: UNetBackbone) -> Tensor:
    return backbone.text_encoder.get_input_embeddings().weight


def vectors_of(backbone: UNetBackbone, text: str) -> Tensor:
    """What the embedding table has for the tokens of a text."""
    ids = backbone.tokenizer(text).input_ids
    return table(backbone)[ids[1:-1]].detach().clone()


def drawn(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, CONTEXT, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("prompt", ["", "a hut", "by the sea, at night", "  <ink> , odd\tgaps "])
def test_a_prompt_is_spelled_as_its_tokenizer_does(backbone: UNetBackbone, prompt: str) -> None:
    padded = backbone.tokenizer(
        prompt, padding="max_length", max_length=16, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        states = backbone.text_encoder(padded.input_ids).last_hidden_state
    assert torch.equal(backbone.text(prompt).states, states)
    assert torch.equal(backbone.text(prompt, {"<other>": drawn(2)}).states, states)


@pytest.mark.parametrize(
    ("prompt", "plain"), [("<ink>", "hut"), ("a <ink> b", "a hut b"), ("<ink> <ink>", "hut hut")]
)
def test_words_with_the_tables_own_vectors_are_the_tables_words(
    backbone: UNetBackbone, prompt: str, plain: str
) -> None:
    text = backbone.text(prompt, {"<ink>": vectors_of(backbone, "hut")})
    wanted = backbone.text(plain)
    assert torch.allclose(text.states, wanted.states, atol=1e-6)
    assert text.used == wanted.used


def test_several_words_live_in_one_prompt(backbone: UNetBackbone) -> None:
    words = {"<a>": vectors_of(backbone, "sun"), "<a b>": vectors_of(backbone, "moon")}
    text = backbone.text("<a> x <a b>", words)
    assert torch.allclose(text.states, backbone.text("sun x moon").states, atol=1e-6)
    assert text.spans == {"<a>": (1, 4), "<a b>": (5, 9)}


def test_a_placeholder_inside_another_is_not_torn(backbone: UNetBackbone) -> None:
    text = backbone.text("inky", {"ink": drawn(1), "inky": vectors_of(backbone, "sun")})
    assert list(text.spans) == ["inky"]
    assert torch.allclose(text.states, backbone.text("sun").states, atol=1e-6)


def test_nothing_of_the_encoder_changes(backbone: UNetBackbone) -> None:
    """Only the m new vectors are learned: every row of the table stays as it was, bit for bit."""
    before, names = table(backbone).clone(), len(backbone.tokenizer)
    plain = backbone.text("a hut").states
    vectors = drawn(3).requires_grad_()
    backbone.text("<ink> of a hut", {"<ink>": vectors}).states.square().sum().backward()
    assert torch.equal(table(backbone), before) and table(backbone).grad is None
    assert len(backbone.tokenizer) == names
    assert not backbone.text_encoder.get_input_embeddings()._forward_hooks
    assert torch.equal(backbone.text("a hut").states, plain)


def test_an_encoder_that_fails_is_left_clean(backbone: UNetBackbone) -> None:
    vectors = drawn(1)
    with pytest.raises(RuntimeError):
        # Nothing else of it is wrong: a vector on a device that cannot meet the table.
        backbone.text("<ink>", {"<ink>": vectors.to("meta")})
    assert not backbone.text_encoder.get_input_embeddings()._forward_hooks


def test_gradients_reach_words_that_ask_for_them_and_nothing_else(backbone: UNetBackbone) -> None:
    vectors = drawn(2).requires_grad_()
    states = backbone.text("<ink>", {"<ink>": vectors}).states
    states.square().mean().backward()
    assert vectors.grad is not None and bool((vectors.grad != 0).any(1).all())
    assert not any(p.requires_grad for p in backbone.text_encoder.parameters())
    assert not backbone.text("<ink>", {"<ink>": drawn(2)}).states.requires_grad
    with torch.no_grad():
        assert not backbone.text("<ink>", {"<ink>": vectors}).states.requires_grad


def test_words_beyond_the_window_are_cut_and_said(backbone: UNetBackbone) -> None:
    text = backbone.text("abcdefghijk <ink> ef", {"<ink>": drawn(5)})
    assert text.cut == "<ink> ef"
    assert text.spans == {"<ink>": (12, 15)} and text.used == 16
    gone = backbone.text("abcdefghijklmnop <ink>", {"<ink>": drawn(2)})
    assert gone.cut == "op <ink>" and gone.spans == {}


def test_vectors_of_another_width_are_refused(backbone: UNetBackbone) -> None:
    with pytest.raises(StyleError, match=r"'<ink>': vectors of shape \(2, 768\).*\[n, 16\]"):
        backbone.text("<ink>", {"<ink>": torch.zeros(2, 768)})
    with pytest.raises(StyleError, match=r"shape \(16,\)"):
        backbone.text("<ink>", {"<ink>": torch.zeros(16)})


def test_word_vectors_are_a_copy_of_the_tables(backbone: UNetBackbone) -> None:
    found = backbone.word_vectors("hut")
    assert torch.equal(found, vectors_of(backbone, "hut")) and found.shape == (3, CONTEXT)
    found.zero_()
    assert not torch.equal(backbone.word_vectors("hut"), found)
    assert backbone.word_vectors("").shape == (0, CONTEXT)


def test_half_a_character_is_refused(backbone: UNetBackbone) -> None:
    for windows in ({}, {"windows": 2}):
        with pytest.raises(RecipeError, match=r"prompt: got 'a \\udce9'; give a text in UTF-8"):
            backbone.text("a \udce9", **windows)
