"""Serves one or several simulators in a process, each on its own ports, until SIGTERM or SIGINT."""

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from simulator.core.app import create_app
from simulator.core.connection import CuttableProtocol
from simulator.core.options import Options
from simulator.core.tls import Certificate, certificate_in

STOP_SECONDS = 2
BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(every: Sequence[Options]) -> None:
    """Serve until a signal. Print where each listens as soon as clients may connect."""
    certificates = [certificate_in(one.state, one.host) if one.tls else None for one in every]
    providers = [_described(one) for one in every]
    servers = [
        Server(_config(one, certificate, providers))
        for one, certificate in zip(every, certificates, strict=True)
    ]
    lines = [
        f"{facts.pop('provider')} simulator: {' '.join(facts.values())}" for facts in map(dict, providers)
    ]
    lines += [f"test CA: {certificate.ca_file}" for certificate in certificates[:1] if certificate]
    asyncio.run(_run(servers, every, "\n".join(lines)))


async def _run(servers: list[Server], every: Sequence[Options], ready: str) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    # Only now: who can connect may also send a signal, and must find us ready for it.
    listening = [_listen(one) for one in every]
    sys.stdout.write(f"{ready}\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as group:
        for server, sockets in zip(servers, listening, strict=True):
            # One that cannot go on takes the others with it.
            group.create_task(server.serve(sockets)).add_done_callback(lambda _task: stop())


def _listen(options: Options) -> list[socket.socket]:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    ports = [options.port, *([] if options.polling_port is None else [options.polling_port])]
    try:
        return [socket.create_server((options.host, port), family=family, backlog=BACKLOG) for port in ports]
    except OSError as error:
        sys.exit(f"{options.provider} simulator: cannot listen on {options.host}, ports {ports}: {error}")


def _described(options: Options) -> dict[str, str]:
    scheme = "https" if options.tls else "http"
    facts = {
        "provider": options.provider,
        "url": options.public_url or f"{scheme}://{options.host}:{options.port}",
    }
    if options.polling_port is not None:
        facts["polling_url"] = options.polling_url or f"{scheme}://{options.host}:{options.polling_port}"
    return facts


def _config(
    options: Options, certificate: Certificate | None, providers: list[dict[str, str]]
) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(options, providers),
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
