"""Repositories of the Hub, as a fake of its client sees them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub.errors import HfHubHTTPError
from typer.testing import CliRunner

from orality import SharingError
from orality.cli.commands import app
from orality.sharing import Sharing, push
from orality.sharing.target import HubTarget, parse_target
from orality.store import write_json


class FakeHub:
    """Repositories in folders; `calls` in order."""

    def __init__(self, root: Path) -> None:
        self.root, self.calls, self.private = root, [], {}

    def _place(self, repo_id, repo_type):
        return self.root / repo_type / repo_id

    def repo_exists(self, repo_id, repo_type):
        return self._place(repo_id, repo_type).is_dir()

    def repo_info(self, repo_id, repo_type):
        return SimpleNamespace(private=self.private[repo_type, repo_id])

    def create_repo(self, repo_id, repo_type, private, exist_ok):
        self.calls.append(("create", repo_type, repo_id, private))
        self.private[repo_type, repo_id] = private
        self._place(repo_id, repo_type).mkdir(parents=True)
        (self._place(repo_id, repo_type) / ".gitattributes").write_text("")

    def list_repo_files(self, repo_id, repo_type):
        place = self._place(repo_id, repo_type)
        return [p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()]

    def hf_hub_download(self, repo_id, repo_type, filename):
        return str(self._place(repo_id, repo_type) / filename)

    def upload_folder(self, repo_id, repo_type, folder_path, commit_message, delete_patterns):
        self.calls.append(("upload", repo_type, repo_id, commit_message))
        shutil.copytree(folder_path, self._place(repo_id, repo_type), dirs_exist_ok=True)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "ORALITY_OFFLINE", "ORALITY_LOCAL_ONLY"):
        monkeypatch.delenv(name, raising=False)
    return FakeHub(tmp_path / "hub")


def test_targets_are_folders_models_and_datasets():
    assert parse_target("some/folder") == Path("some/folder")
    assert parse_target("hf:me/adapter") == HubTarget("me/adapter", "model")
    assert parse_target("hf:datasets/me/pairs") == HubTarget("me/pairs", "dataset")
    assert parse_target("hf:datasets/me/pairs").url == "https://huggingface.co/datasets/me/pairs"
    for wrong in ("hf:me", "hf:me/a/b", "hf:../x", "hf:me/..", "hf:datasets/me", "hf:"):
        with pytest.raises(SharingError, match="OWNER/NAME"):
            parse_target(wrong)


def test_a_push_makes_private_repositories_that_name_each_other(stored_run, hub):
    told = push(stored_run, ["hf:me/adapter", "hf:datasets/me/pairs"], api=hub)
    assert told == [
        "https://huggingface.co/me/adapter", "https://huggingface.co/datasets/me/pairs",
    ]  # fmt: skip
    assert hub.calls == [
        ("create", "model", "me/adapter", True),
        ("upload", "model", "me/adapter", "Push aligned round 2 by orality"),
        ("create", "dataset", "me/pairs", True),
        ("upload", "dataset", "me/pairs", "Push aligned round 2 by orality"),
    ]
    model, dataset = hub.root / "model/me/adapter", hub.root / "dataset/me/pairs"
    assert not (model / "preferences").exists()
    card = (model / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["datasets"] == ["me/pairs"]
    assert "ADAPTER = 'me/adapter'" in card
    [entry] = yaml.safe_load((model / ".eval_results" / "swuggy.yaml").read_text())
    assert entry["source"] == {"url": "https://huggingface.co/me/adapter", "name": "Model card"}
    assert "load_dataset('me/pairs')" in (dataset / "README.md").read_text()
    assert "`me/adapter`" in (dataset / "README.md").read_text()
    assert list((dataset / "data").glob("train-*.parquet"))


def test_the_same_run_goes_to_the_same_repository_again(stored_run, hub):
    push(stored_run, "hf:me/adapter", api=hub)
    push(stored_run, "hf:me/adapter", api=hub)
    assert [call[0] for call in hub.calls] == ["create", "upload", "upload"]


def test_a_repository_with_something_else_is_left_alone(run, hub):
    push(run, "hf:me/adapter", api=hub)
    manifest = yaml.safe_load((run / "manifest.json").read_text())
    write_json(run / "manifest.json", manifest | {"fingerprint": "0" * 64})
    with pytest.raises(SharingError, match=r"me/adapter is not empty and holds aligned round 2 of"):
        push(run, "hf:me/adapter", api=hub)
    push(run, "hf:me/adapter", api=hub, force=True)
    place = hub.root / "model" / "me" / "other"
    place.mkdir(parents=True)
    (place / "README.md").write_text("theirs")
    hub.private["model", "me/other"] = True
    with pytest.raises(SharingError, match="no push of orality"):
        push(run, "hf:me/other", api=hub)


def test_a_public_repository_takes_nothing_that_is_not_meant_to_be(stored_run, hub):
    push(stored_run, "hf:me/adapter", public=True, api=hub)
    assert hub.calls[0] == ("create", "model", "me/adapter", False)
    with pytest.raises(SharingError, match="is public; say --public"):
        push(stored_run, "hf:me/adapter", api=hub)


@pytest.mark.parametrize("name", ["ORALITY_LOCAL_ONLY", "HF_HUB_OFFLINE", "ORALITY_OFFLINE"])
def test_where_nothing_may_leave_nothing_does(stored_run, hub, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(SharingError, match="push to a folder"):
        push(stored_run, "hf:me/adapter", api=hub)
    assert hub.calls == []


def test_a_local_only_run_is_not_sent_away(run, hub):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text()) | {"local_only": True}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(SharingError, match="local_only"):
        push(run, "hf:me/adapter", api=hub)


def test_a_missing_token_is_named(stored_run, hub, monkeypatch):
    monkeypatch.setattr("orality.sharing.hub.get_token", lambda: None)
    with pytest.raises(SharingError, match="`hf auth login`, or set HF_TOKEN"):
        push(stored_run, "hf:me/adapter")


def test_the_hub_s_answers_become_one_clear_message_without_the_token(stored_run, hub, monkeypatch):
    response = SimpleNamespace(status_code=403, headers={}, request=None)

    def refuse(**_):
        raise HfHubHTTPError("no: Bearer hf_canary", response=response)

    hub.create_repo = refuse
    with pytest.raises(SharingError, match=r"refused me/adapter \(status 403\)") as caught:
        push(stored_run, "hf:me/adapter", api=hub)
    assert "hf_canary" not in str(caught.value)
    assert caught.value.__suppress_context__

    def unreachable(**_):
        raise ConnectionError("name resolution")

    hub.create_repo = unreachable
    with pytest.raises(SharingError, match="cannot be reached"):
        push(stored_run, "hf:me/adapter", api=hub)


def test_pairs_can_only_be_shared_where_there_are_some(run, hub):
    shutil.rmtree(run / "round-1" / "pairs")
    with pytest.raises(SharingError, match="learned from no pairs"):
        push(run, "hf:datasets/me/pairs", sharing=Sharing(system="aligned round 1"), api=hub)


def test_the_command_line_pushes_and_lists(stored_run, tmp_path):
    runner = CliRunner()
    arguments = ["push", str(stored_run), "--to", str(tmp_path / "out")]
    more = ["--license", "mit", "--license", "data=cc0-1.0", "--audio"]
    listed = runner.invoke(app, [*arguments, *more, "--dry-run"])
    assert listed.exit_code == 0, listed.output
    assert "adapter_model.safetensors (" in listed.output
    assert not (tmp_path / "out").exists()
    done = runner.invoke(app, [*arguments, *more])
    assert done.exit_code == 0, done.output
    card = (tmp_path / "out" / "README.md").read_text()
    assert "\nlicense: mit\n" in card
    assert "| training data | cc0-1.0 |" in card
