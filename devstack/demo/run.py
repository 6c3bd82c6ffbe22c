"""The demonstration from start to result."""

import time
from contextlib import closing
from typing import Any

import httpx

from devstack.demo import checks
from devstack.demo.cases import CASES
from devstack.demo.client import Client, Tracked
from devstack.demo.display import live_display
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag
from devstack.stack.running import Stack, running_stack
from devstack.stack.up import summary, wait_for_signal

# Over the deadline of a generation under this stack, so that even a lost one has ended.
WATCH_TIMEOUT_SECONDS = 100.0
LOG_ENTRIES_MAX = 1000


def demo(*, stop: StopFlag, keep: bool = False) -> bool:
    """Run it on temporary data; return whether all checks passed. With `keep`, run on until a signal."""
    started = time.monotonic()
    with running_stack(stop=stop, is_durable=False) as stack:
        log(f"ready after {time.monotonic() - started:.1f} s: API {stack.api_url}\n")
        try:
            with closing(Client(stack.api_url, stack.authorization)) as client:
                problems = _make_and_check(stack, client, stop)
        except httpx.HTTPError as error:
            problems = [f"a request failed: {error!r}"]
        _say_verdict(problems, time.monotonic() - started)
        if keep:
            log(summary(stack))
            wait_for_signal(stop)
    return not problems


def _make_and_check(stack: Stack, client: Client, stop: StopFlag) -> checks.Problems:
    before = client.credits()
    generations = [client.post(case) for case in CASES]
    with live_display(generations) as show:
        client.watch(generations, show, timeout_seconds=WATCH_TIMEOUT_SECONDS, stop=stop)
    after, lines = client.credits(), client.entries()
    problems = [problem for each in generations for problem in checks.ending(each)]
    for each in generations:
        problems += _check_and_print(client, each)
    _say_account(before, after, lines)
    problems += checks.account(generations, before, after)
    problems += checks.entries(generations, lines)
    problems += checks.kinds(generations)
    for provider, url in stack.servers.simulators.items():
        problems += checks.provider_log(provider, _simulator_log(url))
    return problems


def _check_and_print(client: Client, each: Tracked) -> checks.Problems:
    """Check a generation's images, then print where to see them."""
    job, problems = each.job, []
    log(f"\n{each.case.name}: {each.case.title}. {job['status']} after {each.seconds:.1f} s")
    if job["error"]:
        log(f"  error        {job['error']['code']}: {job['error']['message']}")
    for described in job["images"]:
        response = client.download(described["url"])
        content_type = response.headers.get("content-type", "")
        wrong = checks.image(each.case, described, response.content, content_type)
        verdict = "NOT WHOLE" if wrong else "whole"
        size = f"{described['width']}x{described['height']}, {described['size_bytes']} bytes, {verdict}"
        log(f"  image {described['index']}      {described['url']}\n               {content_type} {size}")
        problems += wrong
    ui = job.get("temporal_ui")
    log(f"  Temporal UI  {ui}")
    return problems if ui else [*problems, f"{each.case.name}: has no link to the Temporal UI"]


def _say_account(before: dict[str, Any], after: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    log("\nthe credit account")
    for label, balance in (("before", before), ("after", after)):
        log(
            f"  {label:<7} " + ", ".join(f"{name} {balance[name]}" for name in ("available", "held", "spent"))
        )
    log("  its entries:")
    for line in lines:
        of = line["generation_id"] or ""
        change = f"{line['amount']:+7} → {line['balance_after']:7}"
        log(f"    {line['kind']:<7} {line['account']:<10} {change}  {of}".rstrip())


def _simulator_log(url: str) -> list[dict[str, Any]]:
    response = httpx.get(f"{url}/_sim/log", params={"limit": LOG_ENTRIES_MAX}, timeout=10.0, trust_env=False)
    entries: list[dict[str, Any]] = response.json()["entries"]
    return entries


def _say_verdict(problems: checks.Problems, seconds: float) -> None:
    if problems:
        log(f"\nSome checks failed ({seconds:.1f} s):")
        for problem in problems:
            log(f"  {problem}")
    else:
        log(f"\nAll checks passed in {seconds:.1f} s: images complete, credits correct, endings as expected.")
