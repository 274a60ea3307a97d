"""Import every module of the installed package, to show that an interpreter can run it.

A module of the demo may need a library of the ``demo`` extra; any other failure ends with its traceback.
"""

from __future__ import annotations

import importlib
import pkgutil
import platform

import airflow_provider_exia

PACKAGE = airflow_provider_exia.__name__
DEMO_LIBRARIES = {"matplotlib", "numpy", "pandas", "pyarrow", "skops", "sklearn"}


def fail(name: str) -> None:
    raise ImportError(f"{name} cannot be imported")


def main() -> None:
    imported, left_out = 0, 0
    names = [module.name for module in pkgutil.walk_packages(airflow_provider_exia.__path__, f"{PACKAGE}.", fail)]
    for name in names:
        if name.endswith(".__main__"):
            continue
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(f"{PACKAGE}.demo.") or error.name not in DEMO_LIBRARIES:
                raise
            left_out += 1
        else:
            imported += 1
    tail = f" ({left_out} of the demo need its extra)" if left_out else ""
    print(f"Python {platform.python_version()}: installed, {imported} modules imported{tail}")


if __name__ == "__main__":
    main()
