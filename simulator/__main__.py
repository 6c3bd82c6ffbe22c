"""`python -m simulator fal --port N`: one simulated provider in the foreground until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from simulator.app import PROVIDERS, create_app
from simulator.connection import CuttableProtocol
from simulator.options import Options
from simulator.tls import certificate_in

STOP_SECONDS = 2


class Server(uvicorn.Server):
    """uvicorn, but a signal ends it with exit code 0; uvicorn raises the signal again at the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


def main(arguments: list[str]) -> None:
    """Serve until told to stop."""
    given = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="simulator-") as temporary:
        options = Options(
            provider=given.provider,
            host=given.host,
            port=given.port,
            state=given.state or Path(temporary),
            key=given.key,
            user_id=given.user_id,
            job_seconds=given.job_seconds,
            webhook_retry_seconds=given.webhook_retry_seconds,
            public_url=given.public_url,
            tls=given.tls,
        )
        _serve(options)


def _serve(options: Options) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = create_app(options)
    certificate = certificate_in(options.state, options.host) if options.tls else None
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        http=CuttableProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Longer than clients keep theirs: closing one as a submit goes out makes that submit ambiguous.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=certificate.certificate_file if certificate else None,
        ssl_keyfile=certificate.key_file if certificate else None,
    )
    scheme = "https" if certificate else "http"
    lines = [f"{options.provider} simulator: {scheme}://{options.host}:{options.port}"]
    if certificate:
        lines.append(f"test CA: {certificate.ca_file}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    Server(config).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A simulated image provider.")
    parser.add_argument("provider", choices=PROVIDERS)
    parser.add_argument("--port", type=int, required=True)
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
        "--webhook-retry-seconds",
        type=_seconds,
        default=Options.webhook_retry_seconds,
        help="waits between attempts to deliver a webhook, as 1,2,5",
    )
    parser.add_argument("--public-url", help="where clients reach it, if not where their requests say")
    return parser


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part.strip())


if __name__ == "__main__":
    main(sys.argv[1:])
