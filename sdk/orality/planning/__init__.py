"""What a corpus would take: hours, devices, disk and dollars, from a few prompts or from a run."""

from __future__ import annotations

from orality.planning.arithmetic import DevicePlan, Plan, StagePlan, plan, shares
from orality.planning.calibrate import calibrate, this_device
from orality.planning.planned import Planned, plan_recipe
from orality.planning.rates import Rates, StageRate, read_rates
from orality.planning.runs import rates_of_run
from orality.planning.table import table_of

__all__ = [
    "DevicePlan",
    "Plan",
    "Planned",
    "Rates",
    "StagePlan",
    "StageRate",
    "calibrate",
    "plan",
    "plan_recipe",
    "rates_of_run",
    "read_rates",
    "shares",
    "table_of",
    "this_device",
]
