"""The key layouts of LoRA files from elsewhere: which site a key speaks of, and what it holds.

Keys are read by name, never by order:

    PEFT       base_model.model.<site>.lora_A.weight             scale = lora_alpha / r
    diffusers  unet.<site>.lora_A.weight, <site>.lora.up.weight  scale = alpha / rank, else 1
    diffusers  <attention>.processor.to_q_lora.down.weight       the same, before version 0.21
    kohya      lora_unet_<site with _>.lora_down.weight, .alpha  scale = alpha / rank

Sites may also carry the numbers of the original latent-diffusion code (`input_blocks.1.1`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

PartName = Literal["down", "up", "alpha", "other"]


class KeyPart(NamedTuple):
    """What one key says: the module as the file spells it, and which part of its update this is.

    `tail`: of parts in another form than two factors, what the file calls them.
    """

    module: str
    name: PartName
    tail: str = ""


class Form(NamedTuple):
    """A form of updates beside two factors: its name, and whether it is a change of a weight."""

    name: str
    is_change: bool = True


_TEXT = re.compile(
    r"^(lora_te\d?_|lycoris_te|(base_model\.model\.)?(text_encoder|text_model|te\d?\.|conditioner\.|cond_stage))"
)
_WRAPPERS = ("base_model.model.", "unet.", "model.diffusion_model.", "diffusion_model.")
_FLAT = ("lora_unet_", "lycoris_unet_", "lycoris_", "unet_")
_OLD = re.compile(
    r"^(.+)\.processor\.to_(q|k|v|out)_lora\.(down|up|alpha|network_alpha)(?:\.weight)?$"
)
_NEW = re.compile(
    r"^(.+?)\.(?:lora_(A|B|down|up)(?:\.[^.]+)?|lora(?:_linear_layer)?\.(down|up))\.weight$"
)
_ALPHA = re.compile(r"^(.+?)(?:\.lora(?:_linear_layer)?)?\.(?:network_)?alpha$")
_PARTS: dict[str, PartName] = {
    "A": "down", "down": "down", "B": "up", "up": "up", "alpha": "alpha", "network_alpha": "alpha",
}  # fmt: skip

_IA3 = Form("IA3 (a factor for each channel)")
_FORMS = (
    *(
        (re.compile(rf"\.({pattern})$"), form)
        for pattern, form in (
            (r"dora_scale|lora_magnitude_vector.*", Form("DoRA (a magnitude beside the update)")),
            (r"hada_\w+", Form("LoHa (Hadamard product of two updates)")),
            (r"lokr_\w+", Form("LoKr (Kronecker product)")),
            (r"lora_mid(?:\.weight)?", Form("LoCon in Tucker form (lora_mid)")),
            (r"(?:oft|boft)_\w+(?:\..*)?|rescale", Form("OFT (orthogonal rotation)")),
            (r"(?:a1|a2|b1|b2|bm)\.weight", Form("GLoRA (an update before and after the weight)")),
            (r"diff", Form("full weight difference")),
            (r"diff_b", Form("difference of a bias")),
            (r"ia3_l(?:\..*)?|on_input", _IA3),
            (r"(?:lora_[AB]|lora_up|lora_down)(?:\.[^.]+)?\.bias", Form("bias of a LoRA layer")),
            (r"w_norm|b_norm", Form("trained norm (one beside its backbone would act)", False)),
            (r"lora_embedding_[AB](?:\..*)?", Form("embedding LoRA", False)),
            (
                r"[qp]_layer\.weight|lambda_layer",
                Form("T-LoRA (a rank that follows the noise)", False),
            ),
            (r"vera_\w+(?:\..*)?", Form("VeRA (factors that all layers share)", False)),
            (r"scalar|lora_scale", Form("extra factor beside the update", False)),
        )
    ),
    (re.compile(r"^(?:lora_unet|lycoris)_[^.]+\.(weight)$"), _IA3),
)


def is_text_key(key: str) -> bool:
    """Whether the key belongs to a text encoder."""
    return _TEXT.match(key) is not None


def part_of(key: str) -> KeyPart:
    """The module and the part a key speaks of; `other` for every form we cannot apply."""
    if match := _OLD.match(key):
        inner = "to_out.0" if match[2] == "out" else f"to_{match[2]}"
        return KeyPart(_bare(f"{match[1]}.{inner}"), _PARTS[match[3]])
    if match := _NEW.match(key):
        return KeyPart(_bare(match[1]), _PARTS[match[2] or match[3]])
    for pattern, _ in _FORMS:
        if match := pattern.search(key):
            return KeyPart(_bare(key[: match.start(1) - 1]), "other", match[1])
    if match := _ALPHA.match(key):
        return KeyPart(_bare(match[1]), "alpha")
    return KeyPart(_bare(key), "other")


def reason(key: str) -> str:
    """Why a key cannot be applied, in a few words."""
    if is_text_key(key):
        return "text encoder (no layer of this backbone's that its texts pass)"
    form = form_of(key)
    return form.name if form else "part of a layer whose other keys are in an unsupported form"


def form_of(key: str) -> Form | None:
    """The form a key is a part of, if it is none of two factors."""
    return next((form for pattern, form in _FORMS if pattern.search(key)), None)


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Every way a file may spell each site name → the site name."""
    table: dict[str, str] = {}
    for name in names:
        known = [name, *_ldm_names(name)]
        if name.endswith(".to_out.0"):
            known.append(name.removesuffix(".0"))
        for spelling in known:
            table[spelling] = table[spelling.replace(".", "_")] = name
    return table


def text_spellings(names: Sequence[str]) -> dict[str, str]:
    """Every way a file may spell the sites of text encoders → the site name.

    kohya numbers encoders only where there are two; who names none means the one there is.
    """
    table: dict[str, str] = {}
    is_one = not any(name.startswith("text_encoder_2.") for name in names)
    for name in names:
        encoder, _, layer = name.partition(".")
        number = 2 if encoder == "text_encoder_2" else 1
        flat = f"text_model_{layer.replace('.', '_')}"
        known = [name, f"{encoder}.text_model.{layer}", f"lora_te{number}_{flat}"]
        known += [f"lycoris_te{number}_{flat}", f"lycoris_{encoder}_{flat}"]
        if is_one:
            known += [f"lora_te_{flat}", f"lycoris_te_{flat}", f"text_model.{layer}"]
        table |= dict.fromkeys(known, name)
    return table


def _bare(module: str) -> str:
    """The module without the prefixes libraries put before it."""
    for prefix in _WRAPPERS:
        module = module.removeprefix(prefix)
    for prefix in _FLAT:
        if module.startswith(prefix):
            return module.removeprefix(prefix)
    return module


_LDM_FIXED = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_LDM_RESNET = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_BLOCK = re.compile(r"^(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)$")
_MIDDLE = re.compile(r"^mid_block\.(resnets|attentions)\.(\d+)\.(.+)$")
_SAMPLER = re.compile(r"^(down_blocks|up_blocks)\.(\d+)\.(?:down|up)samplers\.0\.conv$")


def _ldm_names(name: str) -> list[str]:
    """The site's name in CompVis/latent-diffusion ldm/modules/diffusionmodules/openaimodel.py.

    Holds for two resnets per down block and three per up block, as all Stable Diffusion 1.x, 2.x
    and XL have.
    """
    if name in _LDM_FIXED:
        return [_LDM_FIXED[name]]
    if match := _BLOCK.match(name):
        down, block, part, layer = match[1] == "down_blocks", int(match[2]), match[3], int(match[4])
        stem = (
            f"input_blocks.{3 * block + layer + 1}"
            if down
            else f"output_blocks.{3 * block + layer}"
        )
        return [_inside(stem, part, match[5])]
    if match := _MIDDLE.match(name):
        index = 1 if match[1] == "attentions" else 2 * int(match[2])
        return [f"middle_block.{index}.{_LDM_RESNET.get(match[3], match[3])}"]
    if match := _SAMPLER.match(name):
        block = int(match[2])
        if match[1] == "down_blocks":
            return [f"input_blocks.{3 * block + 3}.0.op"]
        # After an attention the upsampler is entry 2, without one entry 1.
        return [f"output_blocks.{3 * block + 2}.{entry}.conv" for entry in (1, 2)]
    return []


def _inside(stem: str, part: str, rest: str) -> str:
    if part == "attentions":
        return f"{stem}.1.{rest}"
    return f"{stem}.0.{_LDM_RESNET.get(rest, rest)}"
