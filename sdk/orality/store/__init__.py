"""The run folder: parquet shards that appear whole or not at all, a manifest, resume."""

from orality.store.files import atomic_write, read_json, write_json
from orality.store.run import Run
from orality.store.shards import read_records, run_stage, write_shard

__all__ = [
    "Run",
    "atomic_write",
    "read_json",
    "read_records",
    "run_stage",
    "write_json",
    "write_shard",
]
