"""What we build from is pinned, licensed and audited, and no secret is in the repository."""

import re
import subprocess
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

from tests.support.secret_scan import secrets_in

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
PINNED = re.compile(r"^([a-z0-9._-]+)==", re.MULTILINE)
# Those that let anybody use, change and pass on the service under the Apache License.
LICENCES = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0",
    "Unlicense",
}  # fmt: skip
# As some packages still write them.
SPELLINGS = {"3-Clause BSD License": "BSD-3-Clause"}
# Put together here, so that this file has none of them.
PLANTED = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "AWS": "aws_id = AKIA" + "Q7ZP2LM4XW9TB3VD",
    "fal": "2f1c9a7e-5b3d-4c8a-9e61-" + "0d7f4b2a8c53:9a1b3c5d7e9f0a2b4c6d8e0f1a3b5c7d",
    "GitHub": "token: ghp_" + "a8Xk2Lq9ZrT4vB7nM1cD5fG3hJ6wY0sPuE8i",
    "Google": "GEMINI_API_KEY=AIza" + "SyD3kL9xQ2mN7bV4cX8zR1tY6uP0oI5wEaS",
    "JSON Web Token": "eyJhbGci" + "OiJFUzI1NiJ9.eyJzdWIiOiJkYXJrcm9vbSJ9.c2lnbmF0dXJlLW9mLWl0",
    "OpenAI": 'key="sk-proj-' + '4fT9xLq2Vb7Nz1Rm8Kc5Wd0P"',
    "Replicate": "r8_" + "Hq7Zk2Lm9Xw4Tb1Vd6Rn3Yc8Pf5Gs0Ja2Eu7i",
    "Standard Webhooks": "whsec_" + "TwG4cT1RvU0zPd0kQ9S3m5yN8b7aXfLe",
    "Darkroom": "Bearer dk_" + "1e65a1313a580aea_Zk2Lm9Xw4Tb1Vd6Rn3Yc8Pf5Gs0Ja2Eu7iHq7",
    "random text in a name of a secret": "MASTER_KEY=" + "5f0e61b9d2a84c37e6190bd4f7c825a3908e1f6bd47a2c35",
    "a password in a URL": "postgresql://darkroom:" + "9bd1f04ce7a35268c@10.0.0.7/darkroom",
}

ALSO_PLANTED = {"Darkroom": "OPERATOR_KEY=dkop_" + "1e65a1313a580aea_Zk2Lm9Xw4Tb1Vd6Rn3Yc8Pf5Gs0Ja2Eu7iHq7"}


def tracked() -> list[Path]:
    """Return every file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_secret_is_in_the_repository() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}: {kind}"
        for path in tracked()
        if path.is_file()
        for number, kind in secrets_in(path.read_text(errors="replace").splitlines())
    }
    assert found == set()


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_and_not_shown(kind: str) -> None:
    for line in (PLANTED[kind], f'    something = "{PLANTED[kind]}",'):
        assert list(secrets_in(["first", line])) == [(2, kind)]


@pytest.mark.parametrize("kind", ALSO_PLANTED)
def test_another_planted_secret_of_a_kind_is_found(kind: str) -> None:
    assert list(secrets_in(["first", ALSO_PLANTED[kind]])) == [(2, kind)]


@pytest.mark.parametrize("name", ["api_key", "TOKEN", "db_password", "client_secret", "access_key"])
@pytest.mark.parametrize("form", ["{} = '{}'", '"{}": "{}",', "{}={}", "{}: str = '{}'"])
def test_it_is_found_in_every_way_to_write_it(name: str, form: str) -> None:
    value = "Zk2Lm9Xw4Tb1Vd6Rn3Yc8Pf5Gs0"
    assert len(list(secrets_in([form.format(name, value)]))) == 1


@pytest.mark.parametrize("value", ["", "settings.s3_access_key", "${MASTER_KEY:?run}", "a-key", "x" * 40])
def test_what_is_no_secret_is_not(value: str) -> None:
    assert list(secrets_in([f"S3_SECRET_KEY={value}", f'"master_key": "{value}",'])) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_by_hash_and_from_no_named_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = re.split(r"\n(?=[a-z0-9])", text)

    assert all("==" in package and "--hash=sha256:" in package for package in packages)
    assert re.findall(r"--(?:index-url|extra-index-url|find-links)|https?://| @ ", text) == []


def test_every_requirement_is_in_its_lock() -> None:
    groups = PROJECT["dependency-groups"]
    wanted = {
        "requirements.lock": PROJECT["project"]["dependencies"],
        "requirements-dev.lock": [*PROJECT["project"]["dependencies"], *groups["dev"]],
        "requirements-audit.lock": groups["audit"],
        "requirements-bench.lock": [*PROJECT["project"]["dependencies"], *groups["bench"]],
    }
    assert wanted.keys() == set(LOCKS)
    for lock, requirements in wanted.items():
        names = {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}
        assert names <= set(PINNED.findall((ROOT / lock).read_text()))


def test_the_audit_reads_every_lock_and_fails_on_what_it_skips() -> None:
    [listed] = re.findall(r"^LOCKS := (.+)$", MAKEFILE, re.MULTILINE)
    [command] = re.findall(r"^audit:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)

    assert sorted(listed.split()) == LOCKS
    assert "for lock in $(LOCKS)" in command
    assert "pip-audit --strict" in command
    assert "|| failed=1" in command


@pytest.mark.parametrize("package", PINNED.findall((ROOT / "requirements.lock").read_text()))
def test_the_license_of_a_dependency_lets_ours_be(package: str) -> None:
    """Read it from the package as it is installed."""
    found = metadata(package)
    [stated, *_] = found.get_all("License-Expression") or found.get_all("License") or [""]
    names = re.split(r" (?:AND|OR) ", SPELLINGS.get(stated, stated))

    assert set(names) <= LICENCES


def test_ours_is_the_apache_license() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
    assert "The Darkroom authors" in (ROOT / "NOTICE").read_text()
