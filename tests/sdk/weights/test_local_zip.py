"""Zip archives on this machine: unpacked once, whole, and never more than they should."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from orality.errors import CheckpointError, DownloadError
from orality.weights import archive as archives
from orality.weights import file_sha256, small_files, unpacked, weight_files
from orality.weights.archive import unpack


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORALITY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_an_archive_appears_whole_with_the_checksums_of_its_files(tmp_path, cache):
    path = write(tmp_path / "a model.zip", {"top/config.json": b"{}", "top/model.bin": b"weights"})
    folder = unpacked(path)
    assert folder.parent == cache / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.bin", "source.json"]
    receipt = json.loads((folder / "source.json").read_text())
    assert receipt["sha256"]["model.bin"] == file_sha256(folder / "model.bin")
    (weights,) = weight_files([folder])
    assert weights.hashed == "when fetched"
    assert unpacked(path) == folder


def test_another_content_is_another_folder(tmp_path):
    first = unpacked(write(tmp_path / "m.zip", {"a": b"1"}))
    second = unpacked(write(tmp_path / "m.zip", {"a": b"2"}))
    assert first != second
    assert ((first / "a").read_bytes(), (second / "a").read_bytes()) == (b"1", b"2")


def test_nothing_is_left_of_an_archive_that_breaks_off(tmp_path, cache):
    path = write(tmp_path / "m.zip", {"a": b"first", "b": bytes(range(256)) * 40})
    content = bytearray(path.read_bytes())
    at = content.index(b"b", content.index(b"PK", 4)) + 20  # inside the second member's data
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.zip cannot be unpacked: .*damaged"):
        unpacked(path)
    assert [p for p in (cache / "checkpoints").iterdir() if p.is_dir()] == []


def test_small_files_are_read_beside_one_another_and_bounded(tmp_path):
    path = write(
        tmp_path / "m.zip", {"t/config.json": b"{}", "t/sub/units.json": b"{}", "t/x": b""}
    )
    with small_files(path, "config.json", "units.json") as folder:
        assert [p.name for p in folder.iterdir()] == ["config.json"]
    assert not folder.exists()
    big = write(tmp_path / "big.zip", {"config.json": bytes(2**20 + 1)})
    with pytest.raises(CheckpointError, match="at most 1048576"), small_files(big, "config.json"):
        pass


def test_a_bomb_is_refused_by_what_it_says_of_itself(tmp_path):
    path = write(tmp_path / "m.zip", {"a": bytes(65 * 2**20)})
    assert path.stat().st_size < 2**20
    with pytest.raises(DownloadError, match=f"at most {64 * 2**20} are accepted"):
        unpack(path, tmp_path / "out", max_bytes=2**40)
    assert not (tmp_path / "out").exists()


def test_a_member_never_grows_beyond_what_it_says(tmp_path):
    path = write(tmp_path / "m.zip", {"a": bytes(5000)})
    content = path.read_bytes().replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(DownloadError, match="damaged"):
        unpack(path, tmp_path / "out", max_bytes=1000)
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) <= 10


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["x/a", "x/a/b"]])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_cannot_claim_one_place(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
        archive.writestr("c", "x")
    with pytest.raises(DownloadError, match="more than once"):
        unpack(tmp_path / "m.zip", tmp_path / "out", max_bytes=1000)


def test_there_is_an_end_to_members(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = write(tmp_path / "m.zip", {str(n): b"" for n in range(4)})
    with pytest.raises(DownloadError, match="holds 4 members, at most 3"):
        unpack(path, tmp_path / "out", max_bytes=1000)


def test_links_and_what_is_encrypted_are_refused(tmp_path):
    info = zipfile.ZipInfo("config.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(CheckpointError, match="unsafe"):
        unpacked(tmp_path / "link.zip")
    path = write(tmp_path / "m.zip", {"a": b"x"})
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="encrypted"):
        unpacked(path)
