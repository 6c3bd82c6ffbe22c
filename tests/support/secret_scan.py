"""Finds secrets in text: credentials of a known form, and random text under the name of a secret.

`git log -p | python -m tests.support.secret_scan` looks through what was ever committed.
"""

import re
import sys
from collections.abc import Iterable, Iterator

from domain.setting_checks import weakness

# In a line that has one of a test, or of documentation: why it opens nothing.
MARKER = "not a secret"
_MIN_BITS = 50
_FORMS = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----",
    "AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "fal": r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[0-9a-f]{32}\b",
    "GitHub": r"\bgh[oprsu]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{40,}",
    "GitLab": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Google": r"\bAIza[A-Za-z0-9_-]{35}",
    "JSON Web Token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "OpenAI": r"\bsk-[A-Za-z0-9_-]{20,}",
    "PyPI": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "Replicate": r"\br8_[A-Za-z0-9]{30,}",
    "Slack": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "Standard Webhooks": r"\bwhsec_[A-Za-z0-9+/=]{24,}",
    "Darkroom": r"\bdk(?:op)?_[0-9a-f]{16}_[A-Za-z0-9_-]{32,}",
}
_PATTERNS = [(re.compile(form), name) for name, form in _FORMS.items()]
_NAMED = re.compile(
    r"(?i)(?:secret|token|passw|pwd|api_?key|master_?key|access_?key|private_?key|credential)\w*"
    r"[\"']?\s*(?::\s*\w+\s*)?[:=]{1,2}>?\s*[bf]?[\"']?(?P<value>[A-Za-z0-9+/=_.~-]{16,})"
)
_IN_A_URL = re.compile(r"://[^/\s:@\"'{}]+:(?P<value>[^/\s@\"'{}]{8,})@")
# A value that is an expression, such as `settings.master_key` or `data.secret`.
_CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def secrets_in(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the number of each line with a secret, and which kind it is; never the secret."""
    for number, line in enumerate(lines, 1):
        kind = None if MARKER in line else _kind(line)
        if kind is not None:
            yield number, kind


def _kind(line: str) -> str | None:
    for pattern, kind in _PATTERNS:
        if pattern.search(line):
            return kind
    for pattern, kind in ((_NAMED, "random text in a name of a secret"), (_IN_A_URL, "a password in a URL")):
        if any(_looks_random(match["value"]) for match in pattern.finditer(line)):
            return kind
    return None


def _looks_random(value: str) -> bool:
    has_digits = any(character.isdigit() for character in value)
    return has_digits and _CODE.fullmatch(value) is None and weakness(value, min_bits=_MIN_BITS) is None


def main() -> int:
    """Read standard input; return 1 if there is a secret in it."""
    found = list(secrets_in(sys.stdin))
    sys.stdout.writelines(f"line {number}: {kind}\n" for number, kind in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
