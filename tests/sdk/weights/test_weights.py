"""Weights from every kind of place, against a loopback server and wheels made on the spot."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from orality import CheckpointError, DownloadError
from orality.weights import Checkpoint, Hub, Member, Url, Wheel, cache_folder, download, fetch
from orality.weights.archive import unpack
from orality.weights.catalog import CATALOG
from orality.weights.resolve import parse

COMMIT = "0123456789abcdef" * 2 + "01234567"
CONTENT = bytes(range(256)) * 300


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORALITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ORALITY_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


class Server(http.server.ThreadingHTTPServer):
    """Serves files from memory; breaks off the first `breaks` answers half way."""

    files: dict[str, bytes]
    breaks = 0
    ignores_range = False
    requests: list[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.server.files.get(self.path)
        wanted = self.headers.get("Range", "")
        self.server.requests.append(wanted)
        if body is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if start and not self.server.ignores_range:
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            body = body[start:]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.files, server.requests = {"/model.bin": CONTENT}, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orality.weights.download.time.sleep", lambda seconds: None)


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def of_url(server: Server, content: bytes = CONTENT, **options: object) -> Checkpoint:
    source = Url(f"{server.address}/model.bin", digest(content), **options)  # type: ignore[arg-type]
    return Checkpoint("from-url", (source,))


def write_wheel(folder: Path, name: str = "acme-weights", version: str = "1.0") -> Wheel:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("acme/data/model.bin", CONTENT)
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    member = Member("acme/data/model.bin", digest(CONTENT))
    return Wheel(name, version, digest(path.read_bytes()), (member,), path.stat().st_size)


@pytest.fixture
def only_local_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_an_existing_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert fetch(str(tmp_path)) == tmp_path


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(CheckpointError, match="did you mean 'twist-350m'"):
        fetch("twist-350")


def test_a_hub_name_needs_a_revision_and_a_url_a_checksum() -> None:
    with pytest.raises(CheckpointError, match="hex digits of a commit"):
        parse("hub:acme/model")
    with pytest.raises(CheckpointError, match="checksum"):
        parse("https://example.org/model.bin")
    assert parse(f"hub:acme/model@{COMMIT}").sources == (Hub("acme/model", COMMIT),)
    assert parse(f"https://example.org/m.bin#sha256={digest(b'')}").name == "m.bin"


def test_every_catalog_entry_is_found_under_its_own_name() -> None:
    for name, checkpoint in CATALOG.items():
        assert checkpoint.name == name
        assert parse(name) is checkpoint


def test_a_url_is_downloaded_once_and_leaves_a_receipt(server: Server) -> None:
    path = fetch(of_url(server))
    assert path.read_bytes() == CONTENT
    assert fetch(of_url(server), offline=True) == path
    assert len(server.requests) == 1
    receipt = json.loads((path.parent / "source.json").read_text())
    assert receipt["sha256"] == {"model.bin": digest(CONTENT)}


@pytest.mark.usefixtures("no_pause")
def test_a_broken_download_is_resumed_where_it_broke_off(server: Server) -> None:
    server.breaks = 2
    assert fetch(of_url(server)).read_bytes() == CONTENT
    half, quarter = len(CONTENT) // 2, len(CONTENT) // 4
    assert server.requests == ["", f"bytes={half}-", f"bytes={half + quarter}-"]


@pytest.mark.usefixtures("no_pause")
def test_a_server_that_ignores_ranges_still_gives_the_file(server: Server) -> None:
    server.breaks, server.ignores_range = 1, True
    assert fetch(of_url(server)).read_bytes() == CONTENT


@pytest.mark.usefixtures("no_pause")
def test_a_finished_part_is_recognized(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.bin.part").write_bytes(CONTENT)
    source = Url(f"{server.address}/model.bin", digest(CONTENT))
    assert download.download(source, tmp_path / "model.bin") == digest(CONTENT)


@pytest.mark.usefixtures("no_pause")
def test_a_download_that_keeps_breaking_off_says_so(server: Server) -> None:
    server.breaks = 99
    with pytest.raises(DownloadError, match="5 attempts"):
        fetch(of_url(server))


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server: Server, cache: Path) -> None:
    with pytest.raises(DownloadError, match="sha256"):
        fetch(of_url(server, b"something else"))
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_missing_file_is_refused_without_retries(server: Server) -> None:
    with pytest.raises(DownloadError, match="404"):
        fetch(Checkpoint("lost", (Url(f"{server.address}/lost.bin", digest(b"")),)))
    assert len(server.requests) == 1


def test_a_file_larger_than_accepted_is_refused(server: Server) -> None:
    with pytest.raises(DownloadError, match="at most 1000"):
        fetch(of_url(server, max_bytes=1000))


def test_offline_names_the_file_and_where_to_put_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORALITY_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"model\.bin.*downloads"):
        fetch(of_url(server))
    assert server.requests == []


def test_only_web_addresses_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="http"):
        download.download(Url("file:///etc/hostname"), tmp_path / "x")


def test_a_zip_is_unpacked_without_its_top_folder(server: Server, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("TWIST/config.json", "{}")
        archive.writestr("TWIST/sub/a.txt", "a")
    server.files["/z.zip"] = (tmp_path / "z.zip").read_bytes()
    folder = fetch(Checkpoint("zipped", (Url(f"{server.address}/z.zip", unpack=True),)))
    assert (folder / "config.json").read_text() == "{}"
    assert (folder / "sub/a.txt").read_text() == "a"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "c:evil", "a\\..\\evil"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(name, "evil")
    (tmp_path / "out").mkdir()
    with pytest.raises(DownloadError, match="unsafe"):
        unpack(tmp_path / "z.zip", tmp_path / "out", max_bytes=1000)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_archive_cannot_hold_links(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DownloadError, match="unsafe"):
        unpack(tmp_path / "z.zip", tmp_path, max_bytes=1000)


def test_an_archive_cannot_unpack_to_more_than_accepted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(600))
        archive.writestr("b", bytes(600))
    with pytest.raises(DownloadError, match="at most"):
        unpack(tmp_path / "z.zip", tmp_path, max_bytes=1000)


def test_a_wheel_gives_its_member(only_local_wheels: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    wheel = write_wheel(only_local_wheels)
    folder = fetch(
        Checkpoint("acme", (wheel,)),
        progress=lambda stage, done, total, note="": seen.append((stage, done, total)),
    )
    assert (folder / "model.bin").read_bytes() == CONTENT
    assert seen[-1] == ("download acme-weights==1.0", wheel.size, wheel.size)


def test_a_wheel_with_another_checksum_is_refused(only_local_wheels: Path) -> None:
    wheel = write_wheel(only_local_wheels)
    other = Wheel(wheel.distribution, wheel.version, "0" * 64, wheel.members)
    with pytest.raises(DownloadError, match="another file under the same version"):
        fetch(Checkpoint("acme", (other,)))


def test_a_wheel_that_no_index_has_is_reported(only_local_wheels: Path) -> None:
    only_local_wheels.mkdir()
    wheel = Wheel("acme-weights", "9.9", "0" * 64, (Member("a", "b"),))
    with pytest.raises(DownloadError, match="pip could not download acme-weights==9.9"):
        fetch(Checkpoint("acme", (wheel,)))


def test_a_missing_pip_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    wheel = Wheel("acme-weights", "9.9", "0" * 64, (Member("a", "b"),))
    with pytest.raises(DownloadError, match="ensurepip"):
        fetch(Checkpoint("acme", (wheel,)))


def test_a_wheel_put_into_the_downloads_folder_serves_offline(cache: Path) -> None:
    wheel = write_wheel(cache / "downloads")
    folder = fetch(Checkpoint("acme", (wheel,)), offline=True)
    assert (folder / "model.bin").read_bytes() == CONTENT


def test_a_member_with_another_checksum_is_refused(cache: Path) -> None:
    wheel = write_wheel(cache / "downloads")
    other = Wheel(
        wheel.distribution, wheel.version, wheel.sha256, (Member("acme/data/model.bin", "0" * 64),)
    )
    with pytest.raises(DownloadError, match=r"acme/data/model\.bin"):
        fetch(Checkpoint("acme", (other,)), offline=True)


def test_an_installed_distribution_serves_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path / "index")
    with zipfile.ZipFile(next((tmp_path / "index").glob("*.whl"))) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    folder = fetch(Checkpoint("acme", (wheel,)), offline=True)
    assert (folder / "model.bin").read_bytes() == CONTENT


def test_a_conversion_runs_once_for_all_that_ask_together(cache: Path) -> None:
    wheel = write_wheel(cache / "downloads")
    runs: list[Path] = []

    def convert(source: Path, target: Path) -> None:
        runs.append(source)
        (target / "size").write_text(str((source / "model.bin").stat().st_size))

    checkpoint = Checkpoint("acme", (wheel,), convert=convert)
    threads = [threading.Thread(target=fetch, args=(checkpoint,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder = fetch(checkpoint)
    assert len(runs) == 1
    assert {path.name for path in folder.iterdir()} == {"size", "source.json"}
    assert (folder / "size").read_text() == str(len(CONTENT))


def test_a_conversion_that_fails_leaves_nothing_and_can_be_repeated(cache: Path) -> None:
    wheel = write_wheel(cache / "downloads")

    def fail(source: Path, target: Path) -> None:
        (target / "half").write_text("")
        raise CheckpointError("cannot convert this")

    with pytest.raises(CheckpointError, match="cannot convert this"):
        fetch(Checkpoint("acme", (wheel,), convert=fail))
    assert not any(path.is_dir() for path in (cache / "checkpoints").iterdir())
    folder = fetch(Checkpoint("acme", (wheel,)))
    assert {path.name for path in folder.iterdir()} == {"model.bin", "source.json"}


def test_another_version_of_a_conversion_has_another_place() -> None:
    source = (Url("https://example.org/a", digest(b"")),)
    keys = {Checkpoint("a", source, version=version).key for version in (1, 2)}
    assert len(keys) == 2


def test_the_cache_is_where_the_environment_says(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("ORALITY_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/orality")


def test_a_hub_checkpoint_that_is_not_cached_is_refused_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DownloadError, match=f"acme/never-there@{COMMIT}"):
        fetch(f"hub:acme/never-there@{COMMIT}", offline=True)
