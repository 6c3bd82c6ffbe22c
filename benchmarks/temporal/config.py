"""The configuration of a Temporal server on PostgreSQL, for one machine, as JSON, which is also YAML."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devstack.process.data_directory import DataDir
from devstack.process.private_files import write_private
from devstack.servers.temporal import DYNAMIC_CONFIG

ENVIRONMENT = "benchmark"
SERVICES = ("frontend", "history", "matching", "worker")
# As in Temporal's own compose template; it can never be changed afterwards.
HISTORY_SHARDS = 4
# Each of the four services has pools of its own; together they stay below PostgreSQL's 100.
CONNECTIONS_MAX = {"temporal": 15, "temporal_visibility": 5}


def write_config(data: DataDir, postgres_url: str) -> int:
    """Write the configuration to the data folder; return the frontend's port."""
    ports = {name: (data.port(name), data.port(f"{name}_membership")) for name in SERVICES}
    folder = data.path / "config"
    folder.mkdir(mode=0o700)
    dynamic = folder / "dynamic.yaml"
    write_private(dynamic, json.dumps({name: [{"value": value}] for name, value in DYNAMIC_CONFIG.items()}))
    write_private(folder / f"{ENVIRONMENT}.yaml", json.dumps(_config(postgres_url, ports, dynamic), indent=2))
    return ports["frontend"][0]


def _config(postgres_url: str, ports: Mapping[str, tuple[int, int]], dynamic: Path) -> dict[str, Any]:
    frontend = f"127.0.0.1:{ports['frontend'][0]}"
    disabled = {"history": {"state": "disabled"}, "visibility": {"state": "disabled"}}
    return {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "defaultStore": "temporal",
            "visibilityStore": "temporal_visibility",
            "numHistoryShards": HISTORY_SHARDS,
            "datastores": {name: {"sql": _store(postgres_url, name)} for name in CONNECTIONS_MAX},
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
        "services": {
            name: {"rpc": {"grpcPort": grpc, "membershipPort": membership, "bindOnIP": "127.0.0.1"}}
            for name, (grpc, membership) in ports.items()
        },
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True,
                    "initialFailoverVersion": 1,
                    "rpcName": "frontend",
                    "rpcAddress": frontend,
                }
            },
        },
        "dcRedirectionPolicy": {"policy": "noop"},
        "archival": disabled,
        "namespaceDefaults": {"archival": disabled},
        "publicClient": {"hostPort": frontend},
        "dynamicConfigClient": {"filepath": str(dynamic), "pollInterval": "1m"},
    }


def _store(postgres_url: str, name: str) -> dict[str, Any]:
    server = urlsplit(postgres_url)
    return {
        "pluginName": "postgres12",
        "databaseName": name,
        "connectAddr": f"{server.hostname}:{server.port}",
        "connectProtocol": "tcp",
        "user": server.username,
        "password": server.password,
        "maxConns": CONNECTIONS_MAX[name],
        "maxIdleConns": CONNECTIONS_MAX[name],
        "maxConnLifetime": "1h",
    }
