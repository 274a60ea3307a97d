"""The part of pytest's life that the real servers share: installed before the tests, told of and stopped after them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.servers.session import servers

_TOLD: set[str] = set()
"""What the workers of xdist, if any, told of their servers."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install what the chosen tests need, outside their time limits."""
    if session.config.option.collectonly:
        return
    marks = (mark for item in session.items for mark in item.iter_markers("servers"))
    for key in sorted({key for mark in marks for key in mark.args}):
        servers().install(key)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _asked():
        servers().close()
        worker: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if worker is not None:
            worker["servers"] = servers().report()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _TOLD.update(getattr(node, "workeroutput", {}).get("servers", []))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Write below everything but pytest's own last line."""
    yield
    for line in sorted(_TOLD.union(servers().report() if _asked() else [])):
        terminalreporter.write_line(line)


def pytest_unconfigure() -> None:
    if _asked():  # interrupted before the session finished
        servers().close()


def _asked() -> bool:
    return servers.cache_info().currsize > 0
