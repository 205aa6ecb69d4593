"""Jobs done on a Ray cluster: a pool of actors for each stage, so that each is sized apart."""

from __future__ import annotations

from orality.errors import OralityError
from orality.factory.orders import Workers


def work_on_ray(address: str) -> Workers:
    """Work on the cluster at `address`; `local` starts one on this machine."""
    raise OralityError(f"the cluster {address} cannot be used yet; give --workers instead")
