"""Uploaded files: inputs too large for a data URL. Each is two files on disk: bytes, description."""

import hashlib
import json
import re
import secrets
import string
import time
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from simulator.replicate.errors import invalid_input, not_found, problem
from simulator.replicate.responses import moment

MAX_FILE_BYTES = 100 * 1024 * 1024
MAX_BODY_BYTES = MAX_FILE_BYTES + 100_000
MAX_LISTED = 100
LIFETIME_SECONDS = 86_400
_ID_CHARACTERS = string.ascii_lowercase + string.digits
_ADDRESS = re.compile(r"/v1/files/([a-z0-9]{26})")


class Uploads:
    """Stores uploads in the state directory for a day."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    async def add(self, request: Request) -> dict[str, Any]:
        """Store `content`, and `metadata` if there is any. Raises Rejected."""
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise problem(413, "Payload too large", "Files may have 100 MiB.")
        async with request.form(max_files=1, max_fields=3, max_part_size=100_000) as form:
            content, metadata = form.get("content"), form.get("metadata", "{}")
            if not isinstance(content, UploadFile):
                raise invalid_input("content", "content is required", "required")
            body = await content.read()
            record = {
                "id": new_id(),
                "name": content.filename or "file",
                "content_type": content.content_type or "application/octet-stream",
                "size": len(body),
                "etag": hashlib.md5(body, usedforsecurity=False).hexdigest(),
                "checksums": {
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
                },
                "metadata": _metadata(metadata),
                "created_at": time.time(),
            }
        (self._directory / f"{record['id']}.bin").write_bytes(body)
        (self._directory / f"{record['id']}.json").write_text(json.dumps(record))
        return record

    def get(self, upload_id: str) -> dict[str, Any]:
        """Raises Rejected."""
        file = self._directory / f"{upload_id}.json"
        if not _ADDRESS.fullmatch(f"/v1/files/{upload_id}") or not file.exists():
            raise not_found()
        record: dict[str, Any] = json.loads(file.read_text())
        if time.time() >= record["created_at"] + LIFETIME_SECONDS:
            raise not_found()
        return record

    def newest(self) -> list[dict[str, Any]]:
        records = [json.loads(file.read_text()) for file in self._directory.glob("*.json")]
        return sorted(records, key=lambda record: -record["created_at"])[:MAX_LISTED]

    def remove(self, upload_id: str) -> None:
        """Raises Rejected."""
        record = self.get(upload_id)
        for suffix in ("json", "bin"):
            (self._directory / f"{record['id']}.{suffix}").unlink(missing_ok=True)

    def content_at(self, address: str, base_url: str) -> bytes | None:
        """Return the bytes of an upload's address; None for any other address. Raises Rejected."""
        if not address.startswith(f"{base_url}/v1/files/"):
            return None
        record = self.get(address.removeprefix(f"{base_url}/v1/files/"))
        return (self._directory / f"{record['id']}.bin").read_bytes()


def described(record: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Return an upload as Replicate shows it."""
    times = {
        "created_at": moment(record["created_at"]),
        "expires_at": moment(record["created_at"] + LIFETIME_SECONDS),
    }
    return {**record, **times, "urls": {"get": f"{base_url}/v1/files/{record['id']}"}}


def new_id() -> str:
    return "".join(secrets.choice(_ID_CHARACTERS) for _ in range(26))


def _metadata(given: object) -> dict[str, Any]:
    try:
        metadata = json.loads(str(given))
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise invalid_input("metadata", "metadata must be a JSON object")
    return metadata
