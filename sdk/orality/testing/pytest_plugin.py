"""Registered with pytest by the distribution `orality`; imports nothing heavy."""

from __future__ import annotations


def pytest_configure(config: object) -> None:
    """Let failing assertions inside the conformance suites explain themselves."""
    import pytest

    pytest.register_assert_rewrite("orality.testing.component_tests", "orality.testing.conformance")
