"""One round of feedback, shard by shard: every stage kept, so that thresholds can change later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from orality.feedback import schemas, stages
from orality.feedback.configured_judge import ConfiguredJudge
from orality.feedback.preferences import Selection, pair_table
from orality.feedback.prompts import Prompts
from orality.protocols import SpeechLM, Transcriber, Vocoder
from orality.store import (
    drop_unfinished,
    put_shard,
    read_shard,
    read_table,
    shard_path,
    sound_shards,
    sync_files,
)
from orality.types import SamplingOptions

Record = dict[str, Any]

_AT_A_TIME = 40  # continuations that are spoken or transcribed at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How one round makes pairs, and where: all of its stages are stored in `run`/`name`.

    Components are given as functions, called only when there is work for them. `judges`: by the
    folder of their verdicts, `verdicts` for the one that selects; `reference`: fingerprint of the
    policy that samples, kept with the log-probabilities that the sampler records; `selection` None:
    the round ends with verdicts, because its thresholds depend on all of them; `advanced` is
    told of a stage and how many more records it has made. `language`: of the texts that judges
    read; None: each prompt's own.
    """

    run: Path
    name: str
    prompts: Prompts
    slm: Callable[[], SpeechLM]
    reference: Callable[[], str]
    vocoder: Callable[[], Vocoder] | None
    transcriber: Callable[[], Transcriber] | None
    judges: Mapping[str, ConfiguredJudge]
    samples_per_prompt: int
    sampling: SamplingOptions
    max_new_units: int
    selection: Selection | None
    seed: int
    prompts_at_a_time: int = 8
    language: str | None = None
    advanced: Callable[[str, int], object] = field(default=lambda stage, count: None)

    @property
    def folder(self) -> Path:
        """The round's folder."""
        return self.run / self.name

    @property
    def reads(self) -> frozenset[str]:
        """What the judges together need to know of a continuation."""
        return frozenset().union(*(judge.reads for judge in self.judges.values()))

    @property
    def stages(self) -> list[str]:
        """The stages of this round, in order: what no judge reads is not made."""
        speech = self.vocoder is not None and bool({"text", "audio"} & self.reads)
        text = self.transcriber is not None and "text" in self.reads
        found = ["continuations"]
        found += ["speech"] if speech else []
        found += ["transcripts"] if text else []
        return [*found, *self.judges, *(["pairs"] if self.selection else [])]

    def expected(self, stage: str, shards: Sequence[str] | None = None) -> int:
        """How many records shards (all) of a stage have at the end; of pairs, the most possible."""
        shards = self.prompts.shards("train", "dev") if shards is None else shards
        prompts = sum(self.prompts.counts[shard] for shard in shards)
        return prompts if stage == "pairs" else prompts * self.samples_per_prompt

    def missing(self, stage: str, shards: Sequence[str]) -> list[str]:
        """Those of the shards that the stage lacks; torn ones are set aside first, and what a kill
        left unfinished is removed: ask only while nobody makes the round."""
        sound = sound_shards(self.folder / stage)
        found = [shard for shard in shards if shard not in sound]
        for shard in found if stage == "speech" else []:
            drop_unfinished(self.folder / "audio" / shard)
        return found

    def make(self, stage: str, shards: Sequence[str]) -> tuple[int, float]:
        """Make the shards of a stage that are not there, from those of the stages before it.

        Returns how many records were made, and the dollars that a judge took for them. What a shard
        holds depends on its inputs alone, not on who makes it, when, and beside which others.
        """
        missing = [s for s in shards if not shard_path(self.folder / stage, s).exists()]
        if stage in self.judges:
            return self._judge(stage, missing)
        makers = {
            "continuations": (self._sample, schemas.CONTINUATIONS),
            "speech": (self._synthesize, schemas.SPEECH),
            "transcripts": (self._transcribe, schemas.TRANSCRIPTS),
            "pairs": (self._select, schemas.PAIRS),
        }
        make, schema = makers[stage]
        made = 0
        for shard in missing:
            records = make(shard)
            put_shard(shard_path(self.folder / stage, shard), records, schema)
            made += len(records)
        return made, 0.0

    def read(self, stage: str, shard: str, columns: list[str] | None = None) -> list[Record]:
        """The records of one shard of a stage."""
        return read_shard(shard_path(self.folder / stage, shard), columns)

    def _sample(self, shard: str) -> list[Record]:
        slm, reference, records = self.slm(), self.reference(), list[Record]()
        prompts = self.prompts.read(shard, ["id", "units"])
        for batch in _batches(prompts, self.prompts_at_a_time):
            drawn = stages.sample(
                slm,
                batch,
                samples_per_prompt=self.samples_per_prompt,
                max_new_units=self.max_new_units,
                sampling=self.sampling,
                seed=self.seed,
                name=self.name,
            )
            self.advanced("continuations", len(drawn))
            records += [row | {"reference": reference} for row in drawn]
        return records

    def _synthesize(self, shard: str) -> list[Record]:
        assert self.vocoder is not None
        vocoder, records = self.vocoder(), list[Record]()
        drawn = self.read("continuations", shard, ["id", "prompt_id", "units"])
        for batch in _batches(drawn, _AT_A_TIME):
            records += stages.synthesize(vocoder, batch, self.run, f"{self.name}/audio/{shard}")
            self.advanced("speech", len(batch))
        sync_files(self.folder / "audio" / shard)
        return records

    def _transcribe(self, shard: str) -> list[Record]:
        assert self.transcriber is not None
        transcriber, records = self.transcriber(), list[Record]()
        for batch in _batches(self.read("speech", shard), _AT_A_TIME):
            speech = {row["id"]: row for row in batch}
            records += stages.transcribe(transcriber, batch, speech, self.run)
            self.advanced("transcripts", len(batch))
        return records

    def _judge(self, stage: str, shards: Sequence[str]) -> tuple[int, float]:
        """Judge the continuations of several shards together, as many as the judge likes."""
        if not shards:
            return 0, 0.0
        judge = self.judges[stage]
        units = ["units"] if "units" in judge.reads else []
        columns = ["id", "prompt_id", *units]
        rows = {shard: self.read("continuations", shard, columns) for shard in shards}
        columns = ["id", "language", "prompt_text", "prompt_audio", *units]
        prompts = {row["id"]: row for s in shards for row in self.prompts.read(s, columns)}
        speech, transcripts = self._by_id("speech", shards), self._by_id("transcripts", shards)
        verdicts: list[Record] = []
        # Few at a time go through a local judge: they never span shards, nor depend on others.
        groups = list(rows.values())
        if judge.batch > max(map(len, groups)):
            groups = [[row for some in groups for row in some]]
        for batch in (batch for some in groups for batch in _batches(some, judge.batch)):
            verdicts += stages.judge(
                judge, batch, prompts, speech, transcripts, self.run, language=self.language
            )
            self.advanced(stage, len(batch))
        of_id = {row["id"]: row for row in verdicts}
        for shard, some in rows.items():
            records = [of_id[row["id"]] for row in some]
            put_shard(shard_path(self.folder / stage, shard), records, schemas.VERDICTS)
        dollars = sum(json.loads(row["metrics"]).get("dollars", 0.0) for row in verdicts)
        return len(verdicts), float(dollars)

    def _by_id(self, stage: str, shards: Sequence[str]) -> dict[str, Record]:
        """The records of a stage, none where no judge needs it."""
        if stage not in self.stages:
            return {}
        return {row["id"]: row for shard in shards for row in self.read(stage, shard)}

    def _select(self, shard: str) -> pa.Table:
        assert self.selection is not None
        made = self.select(shard, self.selection)
        self.advanced("pairs", self.prompts.counts[shard])
        return made

    def select(self, shard: str, selection: Selection) -> pa.Table:
        """The pairs that a selection makes of one shard of what was judged."""
        transcripts: list[Record] = []
        if "transcripts" in self.stages:
            transcripts = self.read("transcripts", shard, ["id", "auto_bleu"])
        drawn = ["id", "prompt_id", "units", "log_prob", "reference"]
        return pair_table(
            read_table(shard_path(self.prompts.folder, shard), ["id", "split", "skipped", "units"]),
            read_table(shard_path(self.folder / "continuations", shard), drawn),
            {row["id"]: row for row in transcripts},
            {row["id"]: row for row in self.read(selection.verdicts, shard, selection.columns)},
            selection,
            seed=self.seed,
        )


def make_pairs(work: Round, shards: Sequence[str] | None = None) -> Path:
    """Make a round's pairs in this process, shard after shard; returns the pairs' folder.

    Each shard goes through all stages before the next one begins, so memory stays bounded, pairs
    appear early, and a kill loses only what was in hand.
    """
    shards = work.prompts.shards("train", "dev") if shards is None else shards
    for group in groups_of(work, shards):
        for stage in work.stages:
            work.make(stage, group)
    return work.folder / "pairs"


def groups_of(work: Round, shards: Sequence[str]) -> list[tuple[str, ...]]:
    """Shards in the groups that are worked on at a time: one, or as many as a judge wants."""
    if not shards:
        return []
    wanted = max(judge.batch for judge in work.judges.values())
    most = max(work.prompts.counts[shard] for shard in shards) * work.samples_per_prompt
    return [tuple(group) for group in _batches(list(shards), max(1, wanted // most))]


def _batches(rows: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])
