"""Shows the progress of generations: a live table on a terminal, else a line for every change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from devstack.demo.client import Tracked
from devstack.process.log import log

REFRESH_PER_SECOND = 8
STYLES = {"completed": "green", "failed": "yellow", "canceled": "yellow"}

Show = Callable[[Tracked], None]


@contextmanager
def live_display(generations: list[Tracked]) -> Iterator[Show]:
    """Yield a function to call with a generation whose stage has changed."""
    console = Console()
    if not console.is_terminal:
        for each in generations:
            _say_stage(each)
        yield _say_stage
        return
    with Live(
        get_renderable=lambda: _table(generations), console=console, refresh_per_second=REFRESH_PER_SECOND
    ):
        yield lambda _each: None


def _say_stage(each: Tracked) -> None:
    stage, seconds = each.stages[-1]
    log(f"{seconds:6.1f} s  {each.case.name:<9} {each.job['id']}  {each.job['status']:<10}  {stage}")


def _table(generations: list[Tracked]) -> Table:
    table = Table(title="Every kind of model, one lifecycle", title_justify="left", expand=True)
    table.add_column("what is to happen", ratio=2)
    table.add_column("status", min_width=len("processing"))
    table.add_column("stages so far", ratio=3)
    table.add_column("seconds", justify="right")
    for each in generations:
        status = each.job["status"]
        table.add_row(
            each.case.title,
            f"[{STYLES.get(status, 'cyan')}]{status}[/]",
            " → ".join(stage for stage, _ in each.stages),
            f"{each.seconds:.1f}",
        )
    return table
