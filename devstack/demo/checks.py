"""The checks after the demonstration. Each function returns what is wrong, as sentences."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image, UnidentifiedImageError

from devstack.demo.cases import CASES, KINDS, Case
from devstack.demo.client import Tracked

Problems = list[str]


def ending(each: Tracked) -> Problems:
    """Check that status, error and price are those of the case."""
    case, job = each.case, each.job
    if job["status"] != case.status:
        return [f"{case.name}: is {job['status']} ({job['error']}), not {case.status}"]
    problems = []
    code = job["error"]["code"] if job["error"] else None
    if code != case.error_code:
        problems.append(f"{case.name}: its error is {code}, not {case.error_code}")
    images_meant = case.n if case.status == "completed" else 0
    if len(job["images"]) != images_meant:
        problems.append(f"{case.name}: has {len(job['images'])} images, not {images_meant}")
    cost = job["cost"]
    paid, returned = (cost["reserved"], 0) if case.status == "completed" else (0, cost["reserved"])
    if not cost["reserved"] or (cost["charged"], cost["refunded"]) != (paid, returned):
        problems.append(f"{case.name}: its credits do not add up: {cost}")
    return problems


def image(case: Case, described: dict[str, Any], content: bytes, content_type: str) -> Problems:
    """Check that the bytes are the complete image that the generation describes."""
    label = f"{case.name}: image {described['index']}"
    described_size = f"{described['width']}x{described['height']}"
    meant_type = f"image/{case.output_format}" if case.output_format else described["content_type"]
    try:
        with Image.open(BytesIO(content)) as picture:
            picture.load()
            found = (picture.format or "").lower(), f"{picture.width}x{picture.height}"
    except (OSError, UnidentifiedImageError) as error:
        return [f"{label} cannot be decoded: {error}"]
    expectations = {
        "format and size": (found, (meant_type.removeprefix("image/"), described_size)),
        "described size": (described_size, case.size or described_size),
        "length": (len(content), described["size_bytes"]),
        "sha256": (hashlib.sha256(content).hexdigest(), described["sha256"]),
        "content type": ((content_type, described["content_type"]), (meant_type, meant_type)),
    }
    return [
        f"{label}: {what} is {is_}, not {meant}"
        for what, (is_, meant) in expectations.items()
        if is_ != meant
    ]


def account(generations: Sequence[Tracked], before: dict[str, Any], after: dict[str, Any]) -> Problems:
    """Check that the account paid for what was completed, and nothing is held."""
    charged = sum(each.job["cost"]["charged"] for each in generations)
    meant = {
        "available": before["available"] - charged,
        "held": before["held"],
        "spent": before["spent"] + charged,
    }
    return [
        f"credits {name}: {after[name]}, not {value}" for name, value in meant.items() if after[name] != value
    ]


def entries(generations: Sequence[Tracked], lines: Sequence[dict[str, Any]]) -> Problems:
    """Check that every hold was resolved once, as the generation ended."""
    problems = []
    for each in generations:
        kinds = {
            line["transfer_id"]: line["kind"] for line in lines if line["generation_id"] == each.job["id"]
        }
        meant = ["hold", "settle" if each.case.status == "completed" else "refund"]
        if sorted(kinds.values()) != sorted(meant):
            problems.append(f"{each.case.name}: the account has {sorted(kinds.values())}, not {meant}")
    return problems


def kinds(generations: Sequence[Tracked]) -> Problems:
    """Check that every kind of model was used."""
    shown = {each.case.kind for each in generations if each.job["status"] == "completed"}
    return [f"no {kind} was completed" for kind in KINDS if kind not in shown]


def provider_log(provider: str, log: Sequence[dict[str, Any]]) -> Problems:
    """Check in the simulator's log that each was submitted once and finished as expected."""
    problems = []
    for case in (case for case in CASES if case.provider == provider):
        of_case = [entry for entry in log if entry["prompt"] == case.prompt]
        submits = [entry for entry in of_case if entry["kind"] == "submit_accepted"]
        if len(submits) != 1:
            problems.append(f"{case.name}: the provider accepted it {len(submits)} times")
        fired = {entry["fault"] for entry in of_case if entry["kind"] == "fault_fired"}
        if fired != ({case.fault} if case.fault else set()):
            problems.append(f"{case.name}: the faults that fired are {sorted(fired)}, not {case.fault}")
        problems += _finished_by(case, of_case)
    return problems


def _finished_by(case: Case, of_case: Sequence[dict[str, Any]]) -> Problems:
    # A result may be looked at twice, so what counts is which came first.
    news = [
        entry["kind"] for entry in of_case if _is_webhook_taken(entry) or entry["kind"] == "result_served"
    ]
    meant = "webhook_sent" if case.finished_by == "webhook" else "result_served"
    if not news:
        return [f"{case.name}: neither a webhook nor a poll brought the result"]
    if news[0] != meant:
        return [f"{case.name}: it was finished by {news[0]}, not by {meant}"]
    return []


def _is_webhook_taken(entry: dict[str, Any]) -> bool:
    return bool(entry["kind"] == "webhook_sent" and entry["status"] and 200 <= entry["status"] < 300)
