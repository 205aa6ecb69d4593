"""How multitask models (Canary) are told what to do: a turn of slots before the audio."""

from __future__ import annotations

from typing import Any

from orality import CompatibilityError

# What NeMo fills in for slots that neither the caller nor the checkpoint names.
_NEUTRAL = {
    "decodercontext": "",
    "emotion": "<|emo:undefined|>",
    "itn": "<|noitn|>",
    "diarize": "<|nodiarize|>",
}


class Prompt:
    """The slots that a model's prompt has, filled for a pair of languages.

    The first Canary tells the tasks apart by the slot `task`, later ones by the languages alone, so
    both are always given. Raises CompatibilityError when words' times are asked of a model that has
    neither the slot `timestamp` nor an aligner of its own.
    """

    def __init__(self, model: Any, punctuation: bool, timestamps: bool) -> None:
        self._prompt, self._tokenizer = model.prompt, model.tokenizer
        self._slots = list(model.prompt.get_slots("user"))
        self._punctuation = punctuation
        aligned_apart = getattr(model, "timestamps_asr_model", None) is not None
        if timestamps and not aligned_apart and "timestamp" not in self._slots:
            raise CompatibilityError(
                [f"the prompt of this {type(model).__name__} knows no timestamps; leave them out"]
            )
        # With an aligner the model itself writes plain text.
        self._timestamp = timestamps and not aligned_apart

    def turns(self, spoken: str, written: str) -> list[dict[str, Any]]:
        """One turn; CompatibilityError when the checkpoint does not know one of the languages."""
        wanted = {
            "source_lang": spoken,
            "target_lang": written,
            "task": "asr" if spoken == written else "ast",
            "pnc": "yes" if self._punctuation else "no",
            "timestamp": "yes" if self._timestamp else "no",
        }
        slots = _NEUTRAL | self._defaults() | wanted
        missing = [name for name in self._slots if name not in slots]
        if missing:
            raise CompatibilityError([f"the model's prompt wants {missing}, which nothing fills"])
        turn = {"role": "user", "slots": {name: slots[name] for name in self._slots}}
        unknown = [code for code in dict.fromkeys((spoken, written)) if not self._knows(code)]
        try:
            if unknown:
                raise KeyError(f"<|{unknown[0]}|>")
            self._prompt.encode_dialog(turns=[{**turn, "slots": dict(turn["slots"])}])
        except (AssertionError, KeyError, ValueError, RuntimeError) as error:
            raise CompatibilityError(
                [f"the model cannot be asked to write {written!r} for {spoken!r}: {error}"]
            ) from error
        return [turn]

    def _knows(self, language: str) -> bool:
        """Joined tokenizers (one for each language) raise for a token they lack; a single one
        takes it for unknown text without a word."""
        if hasattr(self._tokenizer, "tokenizers_dict"):
            return True
        of_nothing = self._tokenizer.token_to_id("<|no such language|>")
        return bool(self._tokenizer.token_to_id(f"<|{language}|>") != of_nothing)

    def _defaults(self) -> dict[str, Any]:
        turns = self._prompt.get_default_dialog_slots()
        user: dict[str, Any] = next((turn["slots"] for turn in turns if turn["role"] == "user"), {})
        return {name: value for name, value in user.items() if value is not None}
