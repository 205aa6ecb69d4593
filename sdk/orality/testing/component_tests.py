"""What every component of every kind must do, whatever its suite adds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from orality.errors import RecipeError
from orality.plugins import load
from orality.specs import ComponentSpec
from orality.types import UnitSpec

_LIGHT = """
import sys, orality
registry = orality.load()
component, config = registry.configure({kind!r}, {name!r}, **{options!r})
describe = getattr(component.spec, "describe", None)
describe and describe(config)
heavy = [m for m in ("torch", "transformers", "nemo", "onnxruntime") if m in sys.modules]
sys.exit(f"finding and describing imports {{heavy}}" if heavy else 0)
"""


class ComponentTests:
    """What every component of every kind must do."""

    kind: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}

    def spec(self) -> ComponentSpec[Any, Any]:
        """The registered spec."""
        return load().find(self.kind, self.name).spec

    def build(self) -> Any:
        """The built component."""
        return load().build(self.kind, self.name, **self.options)

    def test_an_entry_point_leads_to_it(self) -> None:
        assert self.spec().name == self.name

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(RecipeError, match="no_such_option"):
            load().configure(self.kind, self.name, **self.options, no_such_option=1)

    def test_its_configuration_survives_json(self) -> None:
        _, config = load().configure(self.kind, self.name, **self.options)
        assert type(config)(**json.loads(config.model_dump_json())) == config

    def test_finding_it_imports_nothing_heavy(self) -> None:
        code = _LIGHT.format(kind=self.kind, name=self.name, options=self.options)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr


class UnitComponentTests(ComponentTests):
    def unit_spec(self) -> UnitSpec:
        built: UnitSpec = self.build().unit_spec
        return built

    def test_it_describes_the_units_it_has(self) -> None:
        _, config = load().configure(self.kind, self.name, **self.options)
        described = self.spec().describe(config)  # type: ignore[attr-defined]
        if described is not None:
            built = self.unit_spec()
            if None in (described.fingerprint, built.fingerprint):
                described, built = (_without_fingerprint(spec) for spec in (described, built))
            assert described == built


def _without_fingerprint(spec: UnitSpec) -> UnitSpec:
    return UnitSpec(
        spec.codebook, spec.vocab_size, spec.frame_rate, spec.num_codebooks, spec.deduplicated
    )
