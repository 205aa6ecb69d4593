"""A plan in words: two tables, and what was assumed."""

from __future__ import annotations

from orality.planning.arithmetic import DevicePlan, Plan


def table_of(plan: Plan) -> str:
    """The plan as Markdown."""
    total = plan.prompts * plan.samples
    lines = [
        f"{plan.prompts:,} prompts with {plan.samples} continuations each ({total:,}), one round, "
        f"on: {plan.device}",
        "",
        "| stage | hours on one device | start, s | disk | dollars | source |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for stage in plan.stages:
        lines.append(
            f"| {stage.stage} | {_hours(stage.hours, stage.spread)} "
            f"| {_number(stage.start_hours * 3600)} | {_disk(stage.bytes)} "
            f"| {_dollars(stage.dollars)} | {stage.source} |"
        )
    start = sum(stage.start_hours for stage in plan.stages) * 3600
    lines += [
        f"| all | {_hours(plan.hours, plan.spread)} | {_number(start)} | {_disk(plan.bytes)} "
        f"| {_dollars(plan.dollars)} | |",
        "",
        f"| devices | hours | device hours | hours, all {plan.rounds} rounds "
        "| hours with a pool for each stage | devices of the pools |",
        "|--:|--:|--:|--:|--:|---|",
        *(_devices(item) for item in plan.devices),
        "",
    ]
    if plan.rounds > 1:
        lines += [
            f"All {plan.rounds} rounds: {_disk(plan.all_rounds_bytes)} of disk, "
            f"{_dollars(plan.all_rounds_dollars)} dollars. Training is not in these figures.",
            "",
        ]
    if plan.unknown:
        lines += [f"Not in the hours: {', '.join(plan.unknown)}.", ""]
    lines += [
        "Assumptions:",
        "- work is divided evenly among the devices, each worker starts once, and the file system "
        "keeps up",
        "- with a pool for each stage, a round is as fast as the slowest of them; prompts are cut "
        "before, by all devices",
        *(f"- {item}" for item in plan.assumptions),
    ]
    return "\n".join(lines)


def _devices(item: DevicePlan) -> str:
    pools, pool_hours = "fewer than stages", ""
    if item.pools is not None:
        pools = ", ".join(f"{stage} {count}" for stage, count in item.pools.items())
        pool_hours = _hours(item.pool_hours, None)
    return (
        f"| {item.devices} | {_hours(item.hours, item.spread)} | {_number(item.device_hours)} "
        f"| {_number(item.all_rounds_hours)} | {pool_hours} | {pools} |"
    )


def _hours(hours: float | None, spread: float | None) -> str:
    if hours is None:
        return "unknown"
    return _number(hours) if spread is None else f"{_number(hours)} ±{_number(spread)}"


def _number(value: float) -> str:
    """Three digits that count: 0.0123, 1.23, 12.3, 1,234."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _disk(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{_number(size)} {unit}"
        size /= 1000
    return f"{_number(size)} TB"


def _dollars(dollars: float | None) -> str:
    return "unknown" if dollars is None else f"{dollars:,.2f}"
