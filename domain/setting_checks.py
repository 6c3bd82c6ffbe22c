"""What is wrong with a setting, and the rules by which secrets and addresses are judged."""

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

# Parts of secrets in examples, with letters and digits alone. All are too long to be in a random text.
_EXAMPLES = (
    "changeme", "darkroom", "default", "dummykey", "example", "insecure", "letmein", "masterkey",
    "minioadmin", "passw0rd", "password", "placeholder", "postgres", "qwerty", "replaceme", "secret",
    "testkey",
)  # fmt: skip
_NOT_PLAIN = re.compile(r"[^a-z0-9]")
# Kept from public use (RFC 6761, 6762, 8375, ICANN), and what container platforms use.
_INTERNAL_SUFFIXES = (
    ".localhost", ".local", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa", ".svc",
    ".test", ".invalid",
)  # fmt: skip


@dataclass(frozen=True)
class SettingProblem:
    """One setting that is wrong, or unsafe in production. Its text never has a secret's value.

    Attributes:
        setting: The environment variable.
        problem: What is wrong, with the limit.
        fix: What to do.
        always: Whether it is refused in development too.
        can_be_accepted: Whether an operator may accept it, by ACCEPTED_RISKS.
    """

    setting: str
    problem: str
    fix: str
    always: bool = False
    can_be_accepted: bool = False

    def __str__(self) -> str:
        return f"{self.setting}: {self.problem}. {self.fix}"


def weakness(secret: str, *, min_bits: float) -> str | None:
    """Return why a secret is weak, None if it looks random.

    min_bits: of what is estimated from how often each character, and each step from one to the next, occurs.
    The estimate knows no language: words pass that no example has.
    """
    if any(example in _NOT_PLAIN.sub("", secret.lower()) for example in _EXAMPLES):
        return "it has a part that is in published examples"
    steps = [ord(after) - ord(before) for before, after in pairwise(secret)]
    bits = min(_bits(list(map(ord, secret))), _bits(steps))
    return f"it is short or regular: about {bits:.0f} bits, under {min_bits:.0f}" if bits < min_bits else None


def _bits(symbols: list[int]) -> float:
    counts = Counter(symbols).values()
    return sum(count * math.log2(len(symbols) / count) for count in counts)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def is_internal(host: str) -> bool:
    """Return whether a host is in a network of the operator's: a private address, or no public name.

    A name without a dot counts as internal, as those of containers are.
    """
    name = host.strip("[]").rstrip(".").lower()
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        label = name.rpartition(".")[2]
        # A numeric last part is an address in another form, such as 127.1.
        return "." not in name or name.endswith(_INTERNAL_SUFFIXES) or label.isdigit()


def public_address_problem(setting: str, url: str) -> SettingProblem | None:
    """Return what is wrong with an address that others reach us at."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        problem = "clients and providers reach it over http, which anybody on the way can read and change"
        return SettingProblem(setting, problem, "Set the https:// address of a proxy", can_be_accepted=True)
    if is_loopback(parts.hostname or ""):
        problem = "it leads to this machine only"
        return SettingProblem(setting, problem, "Set the address that others use", can_be_accepted=True)
    return None


def origin_problem(setting: str, origin: str, risk: str, fix: str) -> SettingProblem | None:
    """Return what is wrong with an address in the internet that is none: a simulator's, or one of ours.

    risk: what follows, in a clause.
    """
    parts = urlsplit(origin)
    if parts.scheme == "https" and not is_internal(parts.hostname or ""):
        return None
    problem = f"{parts.scheme}://{parts.hostname} is http or in a private network, and {risk}"
    return SettingProblem(setting, problem, fix, can_be_accepted=True)


def origins_in(hosts: tuple[str, ...]) -> Iterator[str]:
    """Yield the whole origins in a list of hosts, by which private addresses are allowed."""
    return (host for host in hosts if "://" in host)
