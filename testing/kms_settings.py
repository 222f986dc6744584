"""The settings of a server whose customers' keys are in another KMS, for tests."""

from __future__ import annotations

from pathlib import Path

from testing.jedlik_process import Server


def written(folder: Path, endpoint: str, keys: Server, more: str = "") -> Path:
    """A configuration file in a folder, with the account's own key of `keys`; `more` are further lines of `[kms]`."""
    file = folder / "jedlik.toml"
    file.write_text(
        f'[kms]\nendpoint = "{endpoint}"\naccess_key_id = "{keys.access_key}"\n'
        f'secret_access_key = "{keys.secret_key}"\n{more}'
    )
    file.chmod(0o600)
    return file
