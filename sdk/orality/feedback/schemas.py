"""The columns of every stage; each record has an `id`."""

from __future__ import annotations

import pyarrow as pa

_UNITS = pa.list_(pa.int64())

PROMPTS = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),  # train, dev, test
        ("language", pa.string()),
        ("audio", pa.string()),  # the recording, as the corpus names it
        ("seconds", pa.float64()),  # of the whole recording
        ("cut", pa.float64()),  # seconds
        ("cut_source", pa.string()),  # words, aligned, asr, pause, fixed
        ("prompt_audio", pa.string()),  # relative to the run folder
        ("text", pa.string()),
        ("prompt_text", pa.string()),
        ("continuation_text", pa.string()),
        ("units", _UNITS),  # of the prompt
        ("durations", _UNITS),  # frames
        ("utterance_units", _UNITS),  # of the whole recording
        ("skipped", pa.string()),  # why this recording is not used, or null
        ("unreadable", pa.bool_()),  # skipped because the file is broken
        ("cut_approximate", pa.bool_()),  # heard or guessed, not aligned by force
        ("cut_model", pa.string()),  # what timed the words, where the corpus did not
        ("cut_confidence", pa.float64()),  # of that model, 0 to 1
    ]
)
CONTINUATIONS = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_id", pa.string()),
        ("index", pa.int64()),
        ("units", _UNITS),
        ("log_prob", pa.float64()),  # nats, under the policy that drew it
        ("finished", pa.bool_()),
        ("reference", pa.string()),  # fingerprint of the policy that drew it
    ]
)
SPEECH = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_id", pa.string()),
        ("audio", pa.string()),  # relative to the run folder
        ("seconds", pa.float64()),
        ("voiced", pa.float64()),  # seconds of sound; what has none is not transcribed
    ]
)
TRANSCRIPTS = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_id", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("auto_bleu", pa.float64()),
    ]
)
VERDICTS = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_id", pa.string()),
        ("judge", pa.string()),
        ("score", pa.float64()),
        ("rationale", pa.string()),
        ("metrics", pa.string()),  # JSON
    ]
)
PAIRS = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_id", pa.string()),
        ("split", pa.string()),
        ("prompt_units", _UNITS),
        ("chosen_id", pa.string()),
        ("rejected_id", pa.string()),
        ("chosen_units", _UNITS),
        ("rejected_units", _UNITS),
        ("chosen_score", pa.float64()),
        ("rejected_score", pa.float64()),
        ("chosen_auto_bleu", pa.float64()),
        ("rejected_auto_bleu", pa.float64()),
        ("draw", pa.string()),  # pairs that share it are tied: an epoch uses one of them
        ("reference", pa.string()),  # fingerprint of the policy that drew both
        ("reference_chosen", pa.float64()),  # nats
        ("reference_rejected", pa.float64()),
    ]
)
