"""Requests to the OpenAI simulator over plain HTTP."""

import json
from typing import Any

import httpx

from tests.simulator.pictures import data_url
from tests.simulator.process import Client

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"


async def generate(client: Client, prompt: str, **fields: Any) -> httpx.Response:
    body = {"model": "gpt-image-2", "prompt": prompt, "size": "256x256", **fields}
    return await client.http.post(GENERATIONS, content=json.dumps(body))


async def edit(client: Client, prompt: str, images: list[bytes], **fields: Any) -> httpx.Response:
    body = {"prompt": prompt, "images": [{"image_url": data_url(image)} for image in images], **fields}
    return await client.http.post(EDITS, json=body)
