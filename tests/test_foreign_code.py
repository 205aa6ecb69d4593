"""No folder of weights runs code of its own, whichever component reads it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADERS = ("from_pretrained", "from_config")
# NeMo's own, which takes no such option: its configurations are checked by the plugin.
OTHERS = {"plugins/asr/nemo/src/orality_asr_nemo/loading.py", "sdk/orality/training/adapter.py"}


def calls():
    for base in ("sdk", "plugins"):
        for path in sorted((ROOT / base).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text())):
                called = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
                if called in LOADERS and name not in OTHERS:
                    yield f"{name}:{node.lineno}", node


def test_there_are_calls_to_look_at():
    assert len(list(calls())) >= 14


@pytest.mark.parametrize(("place", "call"), [pytest.param(*c, id=c[0]) for c in calls()])
def test_transformers_is_always_told_to_run_no_code_of_a_folder(place, call):
    told = {keyword.arg: keyword.value for keyword in call.keywords}
    assert getattr(told.get("trust_remote_code"), "value", None) is False, place


def test_nothing_unpickles_with_code():
    """torch.load is only ever used with weights_only, numpy without pickles, pickle not at all."""
    wrong = []
    for base in ("sdk", "plugins"):
        for path in sorted((ROOT / base).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                told = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
                called = ast.unparse(node.func)
                if called == "torch.load" and told.get("weights_only") is not True:
                    wrong.append(f"{path.name}:{node.lineno} {called}")
                if called in ("np.load", "numpy.load") and told.get("allow_pickle") is True:
                    wrong.append(f"{path.name}:{node.lineno} {called}")
                if called in ("pickle.load", "pickle.loads", "joblib.load", "dill.load"):
                    wrong.append(f"{path.name}:{node.lineno} {called}")
    assert wrong == []
