"""Which UNets and noise levels can be run as they are; all others are refused by name.

A setting of a checkpoint is honoured or refused, never replaced by another in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from locstyle.errors import BackboneError

Config = Mapping[str, Any]
"""A part's configuration, as diffusers writes it."""

CHANNELS = {
    9: "an inpainting UNet (9 input channels: latent, mask and masked picture)",
    8: "an InstructPix2Pix or upscaling UNet (8 input channels: latent and picture)",
    5: "a depth-guided UNet (5 input channels: latent and depth)",
    7: "an upscaling UNet (7 input channels: latent and small picture)",
}
KINDS = "accepted are Stable Diffusion 1.x, 2.x and SDXL base models and what is tuned from them"
REFINER = "the SDXL refiner, which finishes pictures of the base model"
LCM = (
    "a latent consistency UNet that takes the guidance as an input; use its base model, with the "
    "LCM LoRA as a style"
)


def check_unet(config: Config, name: str) -> None:
    """Refuses a UNet that does more than denoise a latent by a text.

    Raises:
        BackboneError: says what it is.
    """
    what = _what(config)
    if what is not None:
        raise BackboneError(f"backbone: {name!r} is {what}; {KINDS}")


def _what(config: Config) -> str | None:
    kind = config.get("_class_name", "UNet2DConditionModel")
    channels = config.get("in_channels", 4)
    added = config.get("addition_embed_type")
    if kind != "UNet2DConditionModel":
        return f"a model of class {kind}, which is no UNet of Stable Diffusion's kind"
    if channels != 4:
        return CHANNELS.get(channels, f"a UNet of {channels} input channels, where 4 are usual")
    if config.get("time_cond_proj_dim") is not None:
        return LCM
    if added == "text_time":
        sizes = config.get("projection_class_embeddings_input_dim") or 0
        is_refiner = sizes == 2560 and config.get("cross_attention_dim") == 1280
        return REFINER if is_refiner else None
    if added is not None:
        return f"a UNet told {added!r} beside its text"
    if config.get("class_embed_type") is not None or config.get("num_class_embeds") is not None:
        return "a UNet told a class beside its text (an upscaler, or unCLIP)"
    if config.get("encoder_hid_dim_type") is not None:
        return f"a UNet with {config['encoder_hid_dim_type']!r} before its text"
    return None


def check_scheduler(config: Config, name: str) -> None:
    """Refuses noise levels and predictions that would run as something else.

    Which solver a checkpoint was shown with is not asked: that is the edit's.

    Raises:
        BackboneError: names the setting, and what is accepted.
    """
    kind = str(config.get("_class_name", ""))
    accepted: dict[str, tuple[object, ...]] = {
        "prediction_type": ("epsilon", "v_prediction"),
        "timestep_spacing": ("leading", "trailing", "linspace"),
        "thresholding": (False, None),
        "use_flow_sigmas": (False, None),
        "timestep_type": ("discrete", None),
        "final_sigmas_type": ("zero", None),
    }
    if kind.startswith(("FlowMatch", "EDM")):
        raise BackboneError(
            f"backbone: {name!r} has the noise levels of {kind}, of another form of diffusion; "
            "accepted are those of Stable Diffusion's schedulers"
        )
    if config.get("rescale_betas_zero_snr") and config.get("prediction_type") != "v_prediction":
        raise BackboneError(
            f"backbone: {name!r} has noise levels of zero terminal SNR (rescale_betas_zero_snr) "
            "and no v_prediction: from noise alone it could not predict a picture; set one of the "
            "two in its scheduler's configuration as it was trained"
        )
    for key, values in accepted.items():
        if config.get(key, values[0]) not in values:
            given = " or ".join(repr(value) for value in values if value is not None)
            raise BackboneError(
                f"backbone: {name!r} asks for {key} {config[key]!r} in its scheduler's "
                f"configuration, which cannot be honoured; accepted: {given}"
            )
