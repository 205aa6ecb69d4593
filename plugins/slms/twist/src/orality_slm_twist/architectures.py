"""transformers' models as bare decoders: OPT, Llama and what is built like them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from orality_slm_twist.decoder import Decoder, Layer, Rotation
from orality_slm_twist.linear import Linear, joined

_LINEAR = ("_proj", "fc1", "fc2", "lm_head", "project_in", "project_out")
_LLAMAS = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM")


def reason_against(module: nn.Module) -> str | None:
    """Why a module cannot run as a bare decoder, or None where it can."""
    kind = type(module).__name__
    if kind not in ("OPTForCausalLM", *_LLAMAS) or not _is_transformers(module):
        return f"{kind} is no architecture that has a step of its own here"
    config: Any = module.config
    if kind != "OPTForCausalLM":
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        window = getattr(config, "sliding_window", None)
        if kinds != {"full_attention"} or (window and getattr(config, "use_sliding_window", True)):
            return "its attention does not reach all that was said"
        if config.rope_parameters["rope_type"] in ("dynamic", "longrope"):
            return "its rotary positions depend on the length"
    for name, part in module.named_modules():
        if part._forward_hooks or part._forward_pre_hooks or hasattr(part, "_hf_hook"):
            return f"its part {name or 'at the top'} has hooks"
        if name.endswith(_LINEAR) and type(part) is not nn.Linear:
            return f"its part {name} is {type(part).__name__}, no plain linear layer"
    if len({(p.device, p.dtype) for p in module.parameters()}) != 1:
        return "its weights are on several devices or in several precisions"
    return None


def bare(module: Any) -> Decoder:
    """The decoder in a module that nothing speaks against; its weights are those of this moment."""
    return _opt(module) if type(module).__name__ == "OPTForCausalLM" else _llama(module)


def _is_transformers(module: nn.Module) -> bool:
    return type(module).__module__.startswith("transformers.")


def _opt(module: Any) -> Decoder:
    decoder, config = module.model.decoder, module.config
    project = None if decoder.project_in is None else joined([decoder.project_in])
    positions = decoder.embed_positions.weight
    offset = decoder.embed_positions.offset

    def embed(ids: Tensor, places: Tensor) -> Tensor:
        words = functional.embedding(ids, decoder.embed_tokens.weight)
        words = words if project is None else project(words)
        return words.add_(functional.embedding(places + offset, positions))

    def layers() -> Iterator[Layer]:
        for layer in decoder.layers:
            attention = layer.self_attn
            yield Layer(
                qkv=joined([attention.q_proj, attention.k_proj, attention.v_proj]),
                out=joined([attention.out_proj]),
                mlp=_mlp(joined([layer.fc1]), joined([layer.fc2]), layer.activation_fn),
                norm_attention=_layer_norm(layer.self_attn_layer_norm),
                norm_mlp=_layer_norm(layer.final_layer_norm),
                pre_norm=layer.do_layer_norm_before,
            )

    parts = [decoder.final_layer_norm and _layer_norm(decoder.final_layer_norm)]
    parts += [decoder.project_out and joined([decoder.project_out]), joined([module.lm_head])]
    heads = config.num_attention_heads
    return _decoder(
        module, list(layers()), embed, parts, rotation=None, heads=heads, kv_heads=heads,
        head_size=config.hidden_size // heads,
    )  # fmt: skip


def _llama(module: Any) -> Decoder:
    model, config = module.model, module.config

    def embed(ids: Tensor, places: Tensor) -> Tensor:
        return functional.embedding(ids, model.embed_tokens.weight)

    def rotation(places: Tensor) -> Rotation:
        cos, sin = model.rotary_emb(model.norm.weight, places[:, None])
        return cos, sin

    def layers() -> Iterator[Layer]:
        for layer in model.layers:
            attention, mlp = layer.self_attn, layer.mlp
            yield Layer(
                qkv=joined([attention.q_proj, attention.k_proj, attention.v_proj]),
                out=joined([attention.o_proj]),
                mlp=_gated(
                    joined([mlp.gate_proj, mlp.up_proj]), joined([mlp.down_proj]), mlp.act_fn
                ),
                norm_attention=_rms_norm(layer.input_layernorm),
                norm_mlp=_rms_norm(layer.post_attention_layernorm),
                pre_norm=True,
            )

    return _decoder(
        module, list(layers()), embed, [_rms_norm(model.norm), joined([module.lm_head])],
        rotation=rotation, heads=config.num_attention_heads, kv_heads=config.num_key_value_heads,
        head_size=model.layers[0].self_attn.head_dim,
    )  # fmt: skip


def _decoder(
    module: Any,
    layers: list[Layer],
    embed: Callable[[Tensor, Tensor], Tensor],
    parts: list[Callable[[Tensor], Tensor] | None],
    *,
    rotation: Callable[[Tensor], Rotation] | None,
    heads: int,
    kv_heads: int,
    head_size: int,
) -> Decoder:
    def head(hidden: Tensor) -> Tensor:
        for part in parts:
            hidden = hidden if part is None else part(hidden)
        return hidden

    weight = module.lm_head.weight
    return Decoder(
        layers=layers, embed=embed, head=head, rotation=rotation, heads=heads, kv_heads=kv_heads,
        head_size=head_size, scale=head_size**-0.5, dtype=weight.dtype, device=weight.device,
    )  # fmt: skip


def _mlp(up: Linear, down: Linear, act: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    if isinstance(act, nn.ReLU):
        return lambda rows, residual: down.added(up.relu(rows), residual)
    return lambda rows, residual: down.added(act(up(rows)), residual)


def _gated(both: Linear, down: Linear, act: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    def run(rows: Tensor, residual: Tensor) -> Tensor:
        gate, up = both(rows).chunk(2, -1)
        return down.added(act(gate) * up, residual)

    return run


def _layer_norm(norm: nn.LayerNorm) -> Callable[[Tensor], Tensor]:
    shape, weight, bias, eps = norm.normalized_shape, norm.weight, norm.bias, norm.eps
    return lambda rows: torch.layer_norm(rows, shape, weight, bias, eps)


def _rms_norm(norm: Any) -> Callable[[Tensor], Tensor]:
    weight, eps = norm.weight, norm.variance_epsilon
    return lambda rows: torch.rms_norm(rows, weight.shape, weight, eps)
