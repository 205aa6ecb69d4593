"""What a .nemo file must not do to the one who loads it; NeMo is not needed to refuse it."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import orality
from orality import CheckpointError
from orality_asr_nemo.archive import unpack
from orality_asr_nemo.checkpoint import find_checkpoint, opened
from orality_asr_nemo.configuration import check_configuration
from orality_asr_nemo.weights import check_weights

HONEST = """
target: nemo.collections.asr.models.ctc_models.EncDecCTCModel
sample_rate: 16000
labels: &labels [a, b]
preprocessor: {_target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor}
decoder: {_target_: nemo.collections.asr.modules.ConvASRDecoder, vocabulary: *labels}
transf_decoder: {_target_: nemo.collections.asr.modules.transformer.get_nemo_transformer}
loss: {_target_: torch.nn.CrossEntropyLoss, weight: "${multiply:${sample_rate},2}"}
tokenizer: {dir: "${decoder.vocabulary}", model_path: "nemo:0a1b_tokenizer.model"}
"""


class Trap:
    """Touches a file as soon as it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> Any:
        return Path.touch, (self.sentinel,)


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "sentinel"
    yield path
    assert not path.exists()


def member(name: str, content: bytes = b"", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def weights(content: Any = None) -> bytes:
    buffer = io.BytesIO()
    torch.save({"decoder.weight": torch.ones(2)} if content is None else content, buffer)
    return buffer.getvalue()


def archive(
    path: Path, *extra: tuple[tarfile.TarInfo, bytes], config: str = HONEST, mode: str = "w",
    state: bytes | None = None,
) -> Path:  # fmt: skip
    parts = [
        member("./model_config.yaml", config.encode()),
        member("./model_weights.ckpt", weights() if state is None else state),
        *extra,
    ]
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, content in parts:
            tar.addfile(info, io.BytesIO(content))
    return path


def refused(path: Path, match: str) -> None:
    """Within ten seconds of work, by the error that loading gives."""
    begun = time.process_time()
    with pytest.raises(CheckpointError, match=match):
        orality.build("transcriber", "nemo", checkpoint=str(path))
    assert time.process_time() - begun < 10.0


def test_an_honest_archive_is_opened_packed_or_not_and_leaves_nothing_behind(tmp_path):
    for mode in ("w", "w:gz"):
        path = archive(tmp_path / "honest.nemo", mode=mode)
        with opened(find_checkpoint(str(path))) as folder:
            assert {file.name for file in folder.iterdir()} == {
                "model_config.yaml", "model_weights.ckpt",
            }  # fmt: skip
            kept = folder
        assert not kept.exists()
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    unpack(path, unpacked)
    with opened(find_checkpoint(str(unpacked))) as folder:
        assert folder == unpacked
    assert find_checkpoint(str(tmp_path)) == path


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("../sentinel", {}),
        ("./a/../../sentinel", {}),
        ("..\\sentinel", {}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "../sentinel"}),
        ("link", {"type": tarfile.LNKTYPE, "linkname": "./model_config.yaml"}),
        ("pipe", {"type": tarfile.FIFOTYPE}),
        ("device", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
    ],
)
def test_a_member_that_leads_out_of_the_archive_is_refused(tmp_path, sentinel, name, attributes):
    inner = tmp_path / "inner"
    inner.mkdir()
    content = b"" if attributes else b"out"
    refused(archive(inner / "bad.nemo", member(name, content, **attributes)), "unsafe member")


def test_an_absolute_member_is_refused(tmp_path, sentinel):
    refused(archive(tmp_path / "bad.nemo", member(str(sentinel), b"out")), "unsafe member")


def test_a_file_through_a_link_that_comes_before_it_is_never_written(tmp_path, sentinel):
    link = member("way", type=tarfile.SYMTYPE, linkname=str(tmp_path))
    refused(archive(tmp_path / "bad.nemo", link, member("way/sentinel", b"out")), "unsafe member")


def test_a_second_configuration_under_the_same_name_is_refused(tmp_path):
    again = member("model_config.yaml", HONEST.encode())
    refused(archive(tmp_path / "bad.nemo", again), "twice")


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path):
    zeros = member("zeros", bytes(80 * 2**20))
    refused(archive(tmp_path / "bad.nemo", zeros, mode="w:gz"), "far more")


@pytest.mark.parametrize("content", [b"", b"no tar", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_named(tmp_path, content):
    path = tmp_path / "bad.nemo"
    path.write_bytes(content)
    refused(path, r"bad\.nemo is no")


def test_an_archive_that_was_cut_off_is_named(tmp_path):
    path = archive(tmp_path / "cut.nemo")
    path.write_bytes(path.read_bytes()[:1500])
    refused(path, r"cut\.nemo")


CONFIGURATIONS = {
    "os.system": "a: {_target_: os.system, command: touch SENTINEL}",
    "builtins.eval": "a: [{b: {_target_: builtins.eval, _args_: ['1']}}]",
    "subprocess": "a: {_target_: nemo.collections.asr.models.subprocess.Popen, args: [touch]}",
    "torch.hub": "a: {_target_: torch.hub.load, repo_or_dir: x/y}",
    "torch.load": "a: {_target_: torch.load, f: x.pt}",
    "get_method": "a: {_target_: nemo.core.classes.common.hydra.utils.get_method}",
    "relative": "a: {_target_: nemo.collections..os.System}",
    "reference": "b: os.system\na: {_target_: '${b}'}",
    "list": "a: {_target_: [os.system]}",
    "class": "target: subprocess.Popen",
    "resolver": "a: '${oc.create:{_target_: os.system}}'",
    "environment": "a: '${oc.env:ANTHROPIC_API_KEY}'",
    "nested resolver": "a: '${${b}:{_target_: os.system}}'",
    "remote code": "a: {trust_remote_code: true}",
    "remote code in quotes": "a: {trust_remote_code: 'yes'}",
    "artifact": "tokenizer: {model_path: 'nemo:../../etc/passwd'}",
    "apply": "a: !!python/object/apply:os.system ['touch SENTINEL']",
    "path": "a: !!python/object/apply:pathlib.Path [SENTINEL]",
    "name": "a: !!python/name:os.system",
    "not a mapping": "[1, 2]",
    "not YAML": "a: [",
    "not text": "a: \x00",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_that_asks_for_more_than_nemo_s_classes_is_refused(
    tmp_path, sentinel, name
):
    config = CONFIGURATIONS[name].replace("SENTINEL", str(sentinel))
    refused(archive(tmp_path / "bad.nemo", config=config), "model_config.yaml")


def test_the_configuration_of_a_model_inside_is_held_to_the_same(tmp_path, sentinel):
    config = CONFIGURATIONS["os.system"].replace("SENTINEL", str(sentinel)).encode()
    inner = member("./timestamps_asr_model_config.yaml", config)
    refused(archive(tmp_path / "bad.nemo", inner), "timestamps_asr_model_config.yaml")
    whole = archive(tmp_path / "inner.nemo", inner).read_bytes()
    refused(archive(tmp_path / "bad.nemo", member("ab_lm.nemo", whole)), "os.system")


def test_a_configuration_that_unfolds_without_end_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    refused(archive(tmp_path / "bad.nemo", config="\n".join(lines)), "unfolds")
    refused(archive(tmp_path / "bad.nemo", config="a: &a [*a]"), "holds itself")
    refused(archive(tmp_path / "bad.nemo", config="[" * 20_000), "model_config.yaml")


def test_an_archive_without_a_configuration_is_no_checkpoint(tmp_path):
    path = tmp_path / "bad.nemo"
    with tarfile.open(path, "w") as tar:
        info, content = member("other.yaml", b"a: 1")
        tar.addfile(info, io.BytesIO(content))
    refused(path, "lacks model_config.yaml")


def legacy(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def compressed(content: Any) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(weights(content))) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda trap: weights({"a": trap}), "more than tensors"),
        (lambda trap: legacy({"a": trap}), "more than tensors"),
        (lambda trap: pickle.dumps(trap), "more than tensors"),
        (lambda trap: compressed({"a": torch.ones(2)}), "compressed"),
        (lambda trap: weights([torch.ones(2)]), "holds a list"),
        (lambda trap: weights()[:200], "damaged"),
        (lambda trap: b"", "damaged"),
    ],
)
def test_weights_that_hold_more_than_tensors_are_refused(
    tmp_path, sentinel, monkeypatch, make: Callable[[Trap], bytes], match
):
    # With this set, torch's own default would unpickle anything.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    refused(archive(tmp_path / "bad.nemo", state=make(Trap(sentinel))), match)


def test_pickles_beside_the_weights_are_refused(tmp_path, sentinel):
    trap = pickle.dumps(Trap(sentinel))
    refused(archive(tmp_path / "bad.nemo", member("a_vocabulary.pkl", trap)), "pickle")
    refused(archive(tmp_path / "bad.nemo", member("an_extra.pt", trap)), "more than tensors")


def test_weights_in_either_of_torch_s_formats_are_read(tmp_path):
    for content in (weights(), legacy({"a": torch.ones(2)})):
        path = tmp_path / "model_weights.ckpt"
        path.write_bytes(content)
        check_weights(path)


def test_every_class_that_nemo_s_own_models_are_made_of_is_allowed(tmp_path):
    path = tmp_path / "model_config.yaml"
    for target in (
        "nemo.collections.asr.modules.ConformerEncoder",
        "nemo.collections.asr.modules.RNNTDecoder",
        "nemo.collections.asr.modules.SpectrogramAugmentation",
        "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier",
        "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss",
        "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer",
        "nemo.core.optim.lr_scheduler.NoamAnnealing",
        "torch.nn.CrossEntropyLoss",
    ):
        path.write_text(f"a: {{_target_: {target}}}")
        check_configuration(path)


def test_a_name_that_leads_nowhere_is_told_from_one_for_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("ORALITY_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="does not exist"):
        find_checkpoint(str(tmp_path / "missing.nemo"))
    with pytest.raises(CheckpointError, match="0 .nemo files"):
        find_checkpoint(str(tmp_path))
    with pytest.raises(orality.DownloadError, match="nvidia/parakeet-ctc-1.1b@main"):
        find_checkpoint("nvidia/parakeet-ctc-1.1b")
    with pytest.raises(orality.DownloadError, match="nvidia/parakeet-ctc-1.1b@1a2b"):
        find_checkpoint("hub:nvidia/parakeet-ctc-1.1b@1a2b")
    assert find_checkpoint("stt_en_conformer_ctc_small") is None
    assert os.environ["ORALITY_OFFLINE"] == "1"
