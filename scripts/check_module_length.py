"""Fail when a module of the package is longer than a reader can hold in the head."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 400


def main() -> int:
    too_long = []
    for path in sorted(Path("airflow_provider_exia").rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LIMIT:
            too_long.append(f"{path}: {lines} lines, at most {LIMIT}: split it by idea")
    print(*too_long, sep="\n", file=sys.stderr, end="\n" if too_long else "")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
