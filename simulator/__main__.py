"""`python -m simulator fal --port N`: one simulated provider, or `all` of them, in the foreground."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from simulator.core.options import Options
from simulator.core.serving import serve
from simulator.registry import PROVIDERS

ALL = "all"


def main(arguments: list[str]) -> None:
    """Serve until INT or TERM."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names = list(PROVIDERS) if given.provider == ALL else [given.provider]
    ports = given.ports or (
        [] if given.port is None else [given.port + number for number in range(len(names))]
    )
    if len(ports) != len(names):
        parser.error(f"give --port, or --ports with {len(names)} ports, for {', '.join(names)}")
    if given.provider == ALL and given.public_url:
        parser.error("--public-url is for one provider")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with tempfile.TemporaryDirectory(prefix="simulator-") as temporary:
        state = given.state or Path(temporary)
        polling_port = given.polling_port or max(ports) + 1
        serve([_options(given, *pair, state, polling_port) for pair in zip(names, ports, strict=True)])


def _options(given: argparse.Namespace, name: str, port: int, state: Path, polling_port: int) -> Options:
    return Options(
        provider=name,
        host=given.host,
        port=port,
        state=state,
        key=given.key,
        user_id=given.user_id,
        job_seconds=given.job_seconds,
        webhook_retry_seconds=given.webhook_retry_seconds,
        public_url=given.public_url,
        polling_port=polling_port if PROVIDERS[name].has_region else None,
        polling_url=given.polling_url,
        result_seconds=given.result_seconds,
        active_jobs=given.active_jobs,
        tls=given.tls,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Simulated image providers.")
    parser.add_argument("provider", choices=[*PROVIDERS, ALL])
    parser.add_argument("--port", type=int, help="where it listens; of `all`, the first, others follow it")
    parser.add_argument("--ports", type=_ports, help="of `all`, one for each, as 9100,9101")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--tls", action="store_true", help="serve https by a test CA, kept in the state directory"
    )
    parser.add_argument("--state", type=Path, help="where it keeps its data; without it, nothing is kept")
    parser.add_argument("--key", help="the only key that is let in; without it, any key is")
    parser.add_argument("--user-id", default=Options.user_id, help="the account that webhooks are signed for")
    parser.add_argument(
        "--job-seconds", type=float, default=Options.job_seconds, help="how long a job takes, about"
    )
    parser.add_argument(
        "--webhook-retry-seconds", type=_seconds, help="waits between attempts to deliver a webhook, as 1,2,5"
    )
    parser.add_argument("--public-url", help="where clients reach it, if not where their requests say")
    parser.add_argument("--polling-port", type=int, help="where bfl's regional host listens; the next port")
    parser.add_argument("--polling-url", help="where clients reach that, if not at that port")
    parser.add_argument("--result-seconds", type=float, help="how long results last; the provider's own time")
    parser.add_argument("--active-jobs", type=int, help="how many bfl has open at once; 24")
    return parser


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part.strip())


def _ports(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    main(sys.argv[1:])
