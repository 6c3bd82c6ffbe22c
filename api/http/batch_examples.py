"""Examples of requests and responses about batches: api/http/examples.py."""

from collections.abc import Mapping
from typing import Any

BATCH_ID = "bat_01a219b34dc62c1c11e4f67917192a0b"
BATCH_FILE_ID = "file_01a219b2f0a95d07b7d2c4e86f1aba7c"
_GENERATION_ID = "gen_01a219b34dc62c1c11e4f67917192003"
_ADDRESS = f"https://api.example.com/v1/batches/{BATCH_ID}"
_JOB = f"https://api.example.com/v1/generations/{_GENERATION_ID}"

# By the name of a parameter, alone or behind the id of its operation.
PARAMETERS: Mapping[str, Any] = {
    "batch_id": BATCH_ID,
    "list_batches after": BATCH_ID,
    "get_batch_results after": 99,
}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "create_batch": {
        "of_items": {
            "items": [
                {
                    "custom_id": "fox",
                    "model": "flux-schnell",
                    "prompt": "a fox in snow",
                    "size": "512x512",
                },
                {"custom_id": "owl", "model": "flux-schnell", "prompt": "an owl at night", "size": "512x512"},
            ],
            "concurrency": 2,
            "max_cost": 10,
            "metadata": {"catalog": "winter"},
        },
        "of_a_file": {
            "input_file_id": BATCH_FILE_ID,
            "endpoint": "/v1/images/generations",
            "completion_window": "24h",
        },
    },
}
_BATCH: Mapping[str, Any] = {
    "id": BATCH_ID,
    "object": "batch",
    "status": "in_progress",
    "endpoint": None,
    "input_file_id": None,
    "concurrency": 2,
    "max_cost": 10,
    "metadata": {"catalog": "winter"},
    "counts": {"total": 2, "waiting": 0, "in_progress": 1, "completed": 1, "failed": 0, "canceled": 0},
    "cost": {"estimated": 2, "charged": 1},
    "error": None,
    "errors": None,
    "created_at": "2026-11-26T20:15:02.418Z",
    "started_at": "2026-11-26T20:15:02.418Z",
    "cancel_requested_at": None,
    "finished_at": None,
    "urls": {
        "self": _ADDRESS,
        "cancel": f"{_ADDRESS}/cancel",
        "items": f"{_ADDRESS}/items",
        "results": f"{_ADDRESS}/results",
    },
    "request_counts": {"total": 2, "completed": 1, "failed": 0},
    "completion_window": "24h",
    "output_file_id": None,
    "error_file_id": None,
}
_ITEM: Mapping[str, Any] = {
    "index": 0,
    "custom_id": "fox",
    "status": "in_progress",
    "generation_id": _GENERATION_ID,
    "attached": False,
    "cost": {"estimated": 1, "charged": 0},
    "error": None,
    "images": [],
    "undelivered": [],
    "generation_url": _JOB,
}
# By the name of the schema of a response.
VIEWS: Mapping[str, Any] = {
    "BatchView": _BATCH,
    "BatchPage": {
        "object": "list",
        "data": [_BATCH],
        "next_cursor": None,
        "first_id": BATCH_ID,
        "last_id": BATCH_ID,
        "has_more": False,
    },
    "BatchItemPage": {"data": [_ITEM], "next_cursor": None},
}
