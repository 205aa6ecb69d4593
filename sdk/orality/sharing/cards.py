"""The cards of a push: of the adapter, and of the preference set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from markupsafe import Markup

from orality.report.sections.thresholds import thresholds_of
from orality.sharing.base import BaseModel
from orality.sharing.figures import Figure, intervals_of, model_index
from orality.sharing.markdown import fenced, front_matter, neutral, render
from orality.sharing.preferences import PreferenceSet
from orality.sharing.source import SharedRun, without_paths

_PLACES = {"data": "training data", "slm": "base model"}


def model_card(
    run: SharedRun,
    base: BaseModel,
    figures: Sequence[Figure],
    licenses: Mapping[str, str],
    *,
    datasets: Sequence[str],
    benchmarks: Mapping[str, str],
    repository: str | None,
    preferences: str | None,
) -> str:
    """The adapter's README.md.

    `repository`: its id on the Hub, None in a folder; `preferences`: where the preference set is.
    """
    name = f"{run.name}: {run.system}"
    metadata: dict[str, Any] = {
        "base_model": base.label,
        "base_model_relation": "adapter",
        "library_name": "peft",
        "license": licenses["model"],
        "language": _languages(run),
        "datasets": list(datasets),
        "pipeline_tag": "audio-to-audio",
        "tags": ["orality", "spoken-language-model", "speech", "lora", *_methods(run)],
    }
    index = model_index(figures, name, run.results, benchmarks)
    if index:
        metadata["model-index"] = index
    return render(
        "model_card.md.j2",
        front_matter=front_matter(metadata),
        name=name, run=run, base=base, figures=figures, licenses=_named(licenses),
        snippet=fenced(loading_snippet(run, repository), "python"),
        intervals=intervals_of(figures),
        preferences=preferences, learning=_learning(run), package=base.package,
        **_provenance(run),
    )  # fmt: skip


def dataset_card(
    run: SharedRun,
    made: PreferenceSet,
    licenses: Mapping[str, str],
    *,
    repository: str | None,
    model: str | None,
) -> str:
    """The preference set's README.md."""
    metadata: dict[str, Any] = {
        "license": licenses["data"],
        "language": _languages(run),
        "pretty_name": f"Preferences of {run.name}: {run.system}",
        "task_categories": ["audio-to-audio"],
        "tags": ["orality", "preference", "dpo", "speech", "spoken-language-model", "synthetic"],
        "size_categories": [_size(sum(made.rows.values()))],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": list(names)} for split, names in made.files.items()
                ],
            }
        ],
    }
    snippet = "\n".join(
        [
            "from datasets import load_dataset",
            "",
            f"pairs = load_dataset({repository or '.'!r})  # a folder, or a repository of the Hub",
            *(f"print(len(pairs[{split!r}]))  # {count}" for split, count in made.rows.items()),
        ]
    )
    return render(
        "dataset_card.md.j2",
        front_matter=front_matter(metadata),
        run=run, made=made, model=model, licenses=_named(licenses), learning=_learning(run),
        snippet=fenced(snippet, "python"), **_provenance(run),
    )  # fmt: skip


def loading_snippet(run: SharedRun, repository: str | None) -> str:
    """Python that continues a recording with the adapter."""
    sampling = run.recipe.get("sampling") or {}
    options = ("temperature", "top_p", "top_k", "repetition_penalty")
    drawn = ", ".join(f"{key}={sampling[key]!r}" for key in options if key in sampling)
    parts = [
        "import orality",
        "from peft import PeftModel",
        "",
        f"ADAPTER = {repository or '.'!r}  # a folder, or a repository of the Hub",
        f"slm = orality.build({_built(run, 'slm')})",
        "policy = slm.with_module(PeftModel.from_pretrained(slm.module, ADAPTER).eval())",
        "",
        f"tokenizer = orality.build({_built(run, 'tokenizer')})",
        '(units,) = tokenizer.encode([orality.read_audio("prompt.wav")])',
        "((sample,),) = policy.generate(",
        "    [units], num_samples=1, max_new_units=100, seeds=[0],",
        f"    sampling=orality.SamplingOptions({drawn}),",
        ")",
    ]
    if run.recipe.get("vocoder"):
        parts += [
            f"vocoder = orality.build({_built(run, 'vocoder')})",
            "(speech,) = vocoder.synthesize([sample.units])",
            'orality.write_audio("continuation.wav", speech)',
        ]
    return "\n".join(parts)


def _built(run: SharedRun, kind: str) -> str:
    choice = dict(run.recipe.get(kind) or {})
    name = choice.pop("name", "unknown")
    given = [f"{key}={value!r}" for key, value in choice.items() if value is not None]
    return ", ".join([repr(kind), repr(name), *given])


def _provenance(run: SharedRun) -> dict[str, Any]:
    manifest, recipe = run.manifest, run.recipe
    weights = [
        (place, row.get("file", ""), row.get("sha256", "unknown"))
        for place, files in (manifest.get("weights") or {}).items()
        for row in files or [{}]
    ]
    return {
        "components": list(without_paths(manifest.get("components") or {}).items()),
        "weights": weights,
        "distributions": list((manifest.get("distributions") or {}).items()),
        "manifest": manifest,
        "judge": recipe.get("judge") or {},
        "recipe": fenced(yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True), "yaml"),
    }


def _learning(run: SharedRun) -> list[tuple[str, str, str]]:
    """Name, highest rejected and lowest chosen score of each stage the system learned from."""
    planned = list(run.recipe.get("rounds") or [])
    found = []
    for number, stage in enumerate(run.stages):
        given = planned[number] if stage.startswith("round-") and number < len(planned) else {}
        used = thresholds_of(run.path / stage / "pairs", given, {})
        found.append((stage, _number(used.rejected), _number(used.chosen)))
    return found


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _languages(run: SharedRun) -> list[str]:
    """ISO codes, the only ones that the Hub takes."""
    given = str(run.recipe.get("language") or "")
    return [given] if re.fullmatch(r"[a-z]{2,3}", given) else []


def _methods(run: SharedRun) -> list[str]:
    return ["sft"] if run.system == "fine-tuned" else ["dpo", "preference-alignment"]


def _named(licenses: Mapping[str, str]) -> list[tuple[Any, str]]:
    return [(Markup(neutral(_PLACES.get(key, key))), text) for key, text in licenses.items()]


def _size(rows: int) -> str:
    for name, most in (("n<1K", 1e3), ("1K<n<10K", 1e4), ("10K<n<100K", 1e5), ("100K<n<1M", 1e6)):
        if rows < most:
            return name
    return "1M<n<10M" if rows < 1e7 else "10M<n<100M"
