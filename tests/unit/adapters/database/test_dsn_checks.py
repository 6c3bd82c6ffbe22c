"""What is said of DATABASE_URL."""

from pathlib import Path

import pytest

from adapters.database.dsn_checks import database_url_problems

GOOD = "f3a91c07d25b8e64"


def found(url: str) -> list[str]:
    problems = list(database_url_problems(url))
    assert all(problem.setting == "DATABASE_URL" for problem in problems)
    return [problem.problem for problem in problems]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://darkroom:{GOOD}@postgresql:5432/darkroom",
        f"postgresql://darkroom:{GOOD}@127.0.0.1/darkroom",
        f"postgresql://darkroom:{GOOD}@10.0.0.7/darkroom",
        f"postgresql://darkroom:{GOOD}@[fd00::7]:5432/darkroom",
        f"postgresql://darkroom:{GOOD}@db.example.com/darkroom?sslmode=require",
        f"postgresql://darkroom:{GOOD}@db.example.com/darkroom?sslmode=verify-full",
        f"postgresql://darkroom:{GOOD}@a.example.com,b.example.com:6432/darkroom?sslmode=verify-ca",
        f"postgresql://darkroom@10.0.0.7/darkroom?password={GOOD}",
        "postgresql:///darkroom?host=/run/postgresql",
        "postgresql://darkroom@/darkroom?host=/run/postgresql",
        f"postgresql://darkroom@10.0.0.7/darkroom?passfile={__file__}",
    ],
)
def test_nothing_of_what_is_safe(url: str) -> None:
    assert found(url) == []


@pytest.mark.parametrize(
    ("password", "text"),
    [
        ("", "none"),
        (":darkroom", "the name of the role"),
        (":postgres", "examples"),
        (":password1", "examples"),
        (":abc123", "short or regular"),
        (":%61bc123", "short or regular"),
        (":aaaaaaaaaaaaaaaaaaaaaaaa", "short or regular"),
    ],
)
def test_a_password_that_can_be_guessed(password: str, text: str) -> None:
    [problem] = found(f"postgresql://darkroom{password}@10.0.0.7/darkroom")

    assert text in problem


@pytest.mark.parametrize(
    "rest",
    [
        "db.example.com/x",
        "db.example.com/x?sslmode=prefer",
        "db.example.com/x?sslmode=disable",
        "10.0.0.7,db.example.com/x",
        "1.1.1.1:5432/x",
        "[2606:4700::1111]:5432/x",
        "10.0.0.7/x?host=db.example.com",
    ],
)
def test_a_connection_that_leaves_the_network_without_tls(rest: str) -> None:
    [problem] = database_url_problems(f"postgresql://darkroom:{GOOD}@{rest}")

    assert "outside your network" in problem.problem
    assert (problem.always, problem.can_be_accepted) == (False, True)


def test_one_that_cannot_be_used_is_always_refused() -> None:
    [problem] = database_url_problems(f"postgresql://darkroom:{GOOD}@h/x?sslmode=on")

    assert problem.always
    assert GOOD not in str(problem)


def test_a_certificate_needs_no_password(tmp_path: Path) -> None:
    certificate = tmp_path / "own.pem"
    certificate.touch()
    assert found(f"postgresql://darkroom@10.0.0.7/x?sslcert={certificate}&sslkey={certificate}") == []
