"""docs/turn-taking.md explains every reason and sign that there is, and tells the delays in force."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from agent.causes import ActionName, Reason, Sign
from agent.settings import SILENCES, TurnsConfig

PAGE = (Path(__file__).parents[1] / "docs" / "turn-taking.md").read_text(encoding="utf-8")


def rows(title: str) -> list[list[str]]:
    """The rows of the table under this heading."""
    table = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_each_reason_and_each_sign_is_explained_in_one_row() -> None:
    for title, literal in (("Reasons", Reason), ("Signs", Sign)):
        assert [name for name, _ in rows(title)] == list(get_args(literal))
        assert all(meaning for _, meaning in rows(title))


def test_each_action_is_in_the_states() -> None:
    states = PAGE.split("\n## States\n")[1].split("\n## ")[0]
    assert {action for action in get_args(ActionName) if f"(`{action}`)" in states} == set(
        get_args(ActionName)
    )


def test_the_delays_are_those_in_force() -> None:
    told = {name.removeprefix("turns."): default for name, default, _ in rows("Delays")}
    assert told == {name: f"{TurnsConfig.model_fields[name].default:g}" for name in told}
    assert {"pause", *SILENCES, "false_interruption_timeout"} <= set(told)
