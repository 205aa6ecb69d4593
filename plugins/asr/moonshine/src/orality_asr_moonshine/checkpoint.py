"""The Moonshine checkpoint this plugin knows by name."""

from __future__ import annotations

from orality.weights import Checkpoint, Member, Wheel

_FOLDER = "moonshine_voice/assets/tiny-en"

# Later versions of the distribution no longer carry the weights. The files are the same for every
# platform, so the wheel built for Linux serves all.
TINY_EN = Checkpoint(
    name="moonshine-tiny-en",
    sources=(
        Wheel(
            distribution="moonshine-voice",
            version="0.0.73",
            sha256="6461c8097ed78d054c46b4c821143008a07b5fa1f4169674493ccfa06c1407db",
            size=56_320_672,
            platform="manylinux_2_34_x86_64",
            members=(
                Member(
                    f"{_FOLDER}/encoder_model.ort",
                    "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
                ),
                Member(
                    f"{_FOLDER}/decoder_model_merged.ort",
                    "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
                ),
                Member(
                    f"{_FOLDER}/tokenizer.bin",
                    "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
                ),
            ),
        ),
    ),
    license="MIT",
)
