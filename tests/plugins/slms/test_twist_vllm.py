"""The vLLM engine against a stand-in with vLLM's interface; vLLM itself is not at hand here."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, OPTConfig, OPTForCausalLM

from orality import EvaluationError, PluginError, SamplingOptions, Units, UnitSpec
from orality_slm_twist.generation import Running
from orality_slm_twist.slm import TwistLM

GREEDY = SamplingOptions(temperature=0.0)


@dataclass(kw_only=True)
class SamplingParams:
    """The settings of vLLM 0.33's class of this name that concern us, with its checks."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int | None = 16
    allowed_token_ids: list[int] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    logprobs: int | None = None
    detokenize: bool = True

    def __post_init__(self) -> None:
        assert 0 <= self.temperature <= 2
        assert self.max_tokens is not None
        assert self.max_tokens >= 1
        assert self.seed is None or 0 <= self.seed < 2**63
        assert self.allowed_token_ids != []


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | None = None


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]


class LLM:
    """Writes greedily, with the masks, ends and log-probabilities that vLLM documents."""

    started: list[dict[str, Any]] = []  # noqa: RUF012
    asked: list[SamplingParams] = []  # noqa: RUF012

    def __init__(
        self,
        model: str,
        *,
        skip_tokenizer_init: bool,
        dtype: str,
        max_model_len: int,
        enable_prefix_caching: bool,
        logprobs_mode: str,
        generation_config: str,
    ) -> None:
        assert logprobs_mode == "raw_logprobs"
        assert skip_tokenizer_init
        assert not [path for path in Path(model).iterdir() if "token" in path.name]
        self.started.append({"dtype": dtype, "max_model_len": max_model_len})
        self._module = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))

    def generate(
        self,
        prompts: list[dict[str, list[int]]],
        sampling_params: list[SamplingParams],
        *,
        use_tqdm: bool = True,
    ) -> list[RequestOutput]:
        self.asked.extend(sampling_params)
        return [
            RequestOutput(prompt["prompt_token_ids"], [self._complete(prompt, params)])
            for prompt, params in zip(prompts, sampling_params, strict=True)
        ]

    def _complete(self, prompt: dict[str, list[int]], params: SamplingParams) -> CompletionOutput:
        assert params.logprobs == 0
        assert not params.detokenize  # which would take a tokenizer
        assert params.ignore_eos
        output = CompletionOutput(finish_reason="length")
        for _ in range(params.max_tokens or 0):
            ids = torch.tensor([prompt["prompt_token_ids"] + output.token_ids])
            with torch.no_grad():
                raw = self._module(input_ids=ids).logits[0, -1].float().log_softmax(-1)
            allowed = torch.tensor(params.allowed_token_ids)
            token = int(allowed[raw[allowed].argmax()])
            output.token_ids.append(token)
            output.logprobs.append({token: Logprob(float(raw[token]))})
            if token in (params.stop_token_ids or []):  # the stop token is among the tokens
                output.finish_reason, output.stop_reason = "stop", token
                break
        return output


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> type[LLM]:
    stand_in = ModuleType("vllm")
    stand_in.LLM, stand_in.SamplingParams = LLM, SamplingParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    monkeypatch.setattr(LLM, "started", [])
    monkeypatch.setattr(LLM, "asked", [])
    return LLM


def language_model(engine: str = "vllm") -> TwistLM:
    torch.manual_seed(3)
    config = OPTConfig(
        vocab_size=23, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4,
        word_embed_proj_dim=32, max_position_embeddings=64, init_std=0.3,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return TwistLM(
        OPTForCausalLM(config), unit_spec=UnitSpec("toy/km20", 20, 25.0), offset=3, bos=1, eos=2,
        context_length=64, running=Running(engine=engine),
    )  # fmt: skip


def generate(slm: TwistLM, sampling: SamplingOptions = GREEDY, num_samples: int = 2) -> Any:
    rng = np.random.default_rng(0)
    prompts = [Units(rng.integers(0, 20, length)) for length in (9, 60, 4)]
    return slm.generate(
        prompts, num_samples=num_samples, max_new_units=8, sampling=sampling, seeds=[5, -6, 7]
    )


def test_it_writes_what_the_torch_engine_writes(vllm) -> None:
    slm = language_model()
    with torch.no_grad():  # EOS now and then
        slm.module.lm_head.weight[2] *= 1.3
    theirs = generate(slm)
    slm.running = Running(engine="torch")
    for mine, wanted in zip(theirs, generate(slm), strict=True):
        for one, other in zip(mine, wanted, strict=True):
            assert one.units.ids.tolist() == other.units.ids.tolist()
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
            assert one.finished == other.finished
    assert len(theirs[1][0].units) <= 4  # 60 of 64 tokens are the prompt's


def test_an_end_that_was_drawn_is_no_unit_and_not_in_the_log_probability(vllm) -> None:
    slm = language_model()
    with torch.no_grad():  # the tied head then prefers EOS, whatever came before
        slm.module.model.decoder.final_layer_norm.bias.copy_(slm.module.lm_head.weight[2] * 20)
    sample = generate(slm)[0][0]
    assert sample.finished
    assert (len(sample.units), sample.log_prob) == (0, 0.0)


def test_vllm_is_started_once_for_a_model_and_anew_for_its_successor(vllm) -> None:
    slm = language_model()
    generate(slm)
    generate(slm)
    assert vllm.started == [{"dtype": "float32", "max_model_len": 64}]
    generate(slm.with_module(slm.module))
    assert len(vllm.started) == 2


def test_each_sample_has_a_seed_of_its_own_that_its_prompt_decides(vllm) -> None:
    slm = language_model()
    sampling = SamplingOptions(temperature=0.8, top_p=0.9, top_k=7, repetition_penalty=1.2)
    generate(slm, sampling, num_samples=3)
    first = [params.seed for params in vllm.asked]
    assert len(set(first)) == 9
    vllm.asked.clear()
    generate(slm, sampling, num_samples=2)
    # prompts are asked for by length: 4 (seed 7), 9 (seed 5), 60 (seed -6)
    assert [params.seed for params in vllm.asked] == [first[i] for i in (0, 1, 3, 4, 6, 7)]
    params = vllm.asked[0]
    assert (params.temperature, params.top_p, params.top_k) == (0.8, 0.9, 7)
    assert params.repetition_penalty == 1.2
    assert params.allowed_token_ids == [*range(3, 23), 2]
    assert params.stop_token_ids == [2]


def test_what_vllm_cannot_do_is_said_before_it_is_started(vllm) -> None:
    from peft import LoraConfig, get_peft_model

    slm = language_model()
    slm.mask_repeats = True
    with pytest.raises(EvaluationError, match="mask_repeats: false"):
        generate(slm)
    adapted = get_peft_model(language_model().module, LoraConfig(r=2, target_modules=["q_proj"]))
    with pytest.raises(EvaluationError, match="got PeftModel; merge its adapter first"):
        generate(language_model().with_module(adapted))
    assert vllm.started == []
    with pytest.raises(EvaluationError, match=r"0\.01 to 2, got 2\.5"):
        generate(language_model(), SamplingOptions(temperature=2.5))


def test_without_vllm_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(PluginError, match="engine 'vllm' needs vLLM .* pip install vllm"):
        generate(language_model())
