"""Uploading to the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError

from orality.errors import SharingError
from orality.sharing.target import PROVENANCE, HubTarget, require_same_run
from orality.weights.cache import is_offline

# OSError, and the root of the errors of whichever HTTP library the client is built on.
_NO_WAY: tuple[type[Exception], ...] = HfHubHTTPError.__bases__


def upload(
    built: Path,
    target: HubTarget,
    identity: Mapping[str, str],
    *,
    public: bool,
    force: bool,
    api: Any = None,
) -> str:
    """Upload a folder into a repository, which is made if it is missing; returns its address.

    The token is huggingface_hub's own: HF_TOKEN, or what `hf auth login` stored. Raises
    SharingError without a token or a network, for a repository that holds something else, and for
    one that is public without `public`.
    """
    if is_offline():
        raise SharingError(
            f"{target.url} cannot be reached: HF_HUB_OFFLINE or ORALITY_OFFLINE is set; push to a "
            "folder, or unset it"
        )
    if api is None and get_token() is None:
        raise SharingError("the Hub wants a token: run `hf auth login`, or set HF_TOKEN")
    api = api or HfApi(library_name="orality")
    where: dict[str, Any] = {"repo_id": target.repository, "repo_type": target.kind}
    try:
        if api.repo_exists(**where):
            if not public and not api.repo_info(**where).private:
                raise SharingError(f"{target.url} is public; say --public if it is meant to be")
            if not force:
                _require_ours(api, where, identity, target)
        else:
            api.create_repo(**where, private=not public, exist_ok=True)
        api.upload_folder(
            **where, folder_path=str(built), commit_message=f"Push {identity['system']} by orality",
            delete_patterns=["data/*", ".eval_results/*"],
        )  # fmt: skip
    except SharingError:
        raise
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no")
        raise SharingError(
            f"the Hub refused {target.repository} (status {status}); check the name, and that the "
            "token may write there"
        ) from None  # the answer may repeat headers
    except _NO_WAY as error:
        raise SharingError(
            f"{target.url} cannot be reached ({type(error).__name__}); push to a folder, and again "
            "when there is a network"
        ) from None
    return target.url


def _require_ours(
    api: Any, where: Mapping[str, Any], identity: Mapping[str, str], target: HubTarget
) -> None:
    files = set(api.list_repo_files(**where)) - {".gitattributes"}
    if not files:
        return
    found = None
    if PROVENANCE in files:
        path = api.hf_hub_download(**where, filename=PROVENANCE)
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            found = None
    require_same_run(found, identity, target.url)
