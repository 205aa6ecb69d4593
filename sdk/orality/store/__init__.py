"""The run folder: parquet shards that appear whole or not at all, a manifest, resume."""

from orality.store.files import (
    atomic_write,
    drop_unfinished,
    explain_os_errors,
    read_json,
    sync_files,
    write_json,
)
from orality.store.folders import whole_folder
from orality.store.locks import lock_folder, lock_if_free, refuse_links
from orality.store.metrics import append_metrics, read_metrics, stage_costs
from orality.store.run import Run
from orality.store.shards import (
    count_records,
    iterate_records,
    put_shard,
    read_records,
    read_shard,
    read_table,
    run_stage,
    shard_path,
    shard_paths,
    sound_shards,
    write_shard,
)

__all__ = [
    "Run",
    "append_metrics",
    "atomic_write",
    "count_records",
    "drop_unfinished",
    "explain_os_errors",
    "iterate_records",
    "lock_folder",
    "lock_if_free",
    "put_shard",
    "read_json",
    "read_metrics",
    "read_records",
    "read_shard",
    "read_table",
    "refuse_links",
    "run_stage",
    "shard_path",
    "shard_paths",
    "sound_shards",
    "stage_costs",
    "sync_files",
    "whole_folder",
    "write_json",
    "write_shard",
]
