"""References to importable code: a name and the version of its distribution, never a pickled function."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.functions import load_function
from airflow_provider_exia.model_library.distributions import installed_version, is_other_major, other_version
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.formats.base import reason_of
from airflow_provider_exia.model_library.manifest import canonical_json, read_json

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.formats.base import Trust

_REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*:[A-Za-z][A-Za-z0-9_]*")
_FIELDS = {"reference", "distribution", "version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReference:
    """Code that lies in an installed distribution.

    :param reference: ``package.module:name``, a function or a class
    :param distribution: the distribution it comes from
    :param version: that distribution's version when it was published
    """

    reference: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class CodeFormat:
    """A reference to a function or class, imported only from packages that the operator's configuration lists."""

    name: str = "code"
    suffix: str = ".json"
    libraries: tuple[str, ...] = ()

    def check(self, path: Path) -> None:
        """Read the reference; nothing is imported."""
        read_reference(path)

    def save(self, model: Any, path: Path) -> None:
        """Write a reference: ``"package.module:name"``, the function or class itself, or a :class:`CodeReference`."""
        found = model if isinstance(model, CodeReference) else reference_to(model)
        fields = {"reference": found.reference, "distribution": found.distribution, "version": found.version}
        path.write_bytes(canonical_json(fields))

    def load(self, path: Path, *, trust: Trust) -> Any:
        """Import the code, if its package may be imported here."""
        found = read_reference(path)
        check_importable(found, trust)
        here = installed_version(found.distribution)
        if here is None:
            raise FormatRefused(
                f"{found.reference} is code of {found.distribution} {found.version}, which is not installed: install it"
            )
        if here != found.version:
            other_version(
                f"{found.reference} was published as code of {found.distribution} {found.version}; here is {here}",
                refuse=trust.refuse_other_major and is_other_major(found.version, here),
            )
        return import_code(found, trust)


def reference_to(target: Callable[..., Any] | str, *, distribution: str | None = None) -> CodeReference:
    """Return the reference to code, with its distribution as installed here; nothing is imported.

    :param target: ``"package.module:name"``, or a function or class that has such a name
    :param distribution: where it comes from; needed only where that cannot be told from the installed files
    :raises InvalidInput: it has no such name, or belongs to no installed distribution
    """
    text = target if isinstance(target, str) else _name_of(target)
    if not _REFERENCE.fullmatch(text):
        raise InvalidInput(
            f"{text!r} names no importable code: expected 'package.module:name' of public names, a function or class "
            "at the top of a module"
        )
    package = re.split("[.:]", text)[0]
    names = (
        [distribution] if distribution else sorted(set(importlib.metadata.packages_distributions().get(package, ())))
    )
    version = installed_version(names[0]) if len(names) == 1 else None
    if version is None:
        found = f"several distributions ({', '.join(names)})" if len(names) > 1 else "no distribution that is installed"
        raise InvalidInput(
            f"{text!r} belongs to {found}: install its package, or name it with "
            "reference_to(..., distribution='its-name')"
        )
    return CodeReference(reference=text, distribution=names[0], version=version)


def read_reference(path: Path) -> CodeReference:
    """Read a file of this format.

    :raises WrongFormat: it is none
    """
    try:
        fields = read_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise WrongFormat(f"{path.name} is not a reference to code: {reason_of(error)}") from error
    texts = isinstance(fields, Mapping) and all(isinstance(value, str) and value for value in fields.values())
    if not texts or set(fields) != _FIELDS or not _REFERENCE.fullmatch(fields["reference"]):
        raise WrongFormat(
            f"{path.name} is not a reference to code: expected JSON with 'reference' (package.module:name), "
            "'distribution' and 'version'"
        )
    return CodeReference(**fields)


def check_importable(code: CodeReference, trust: Trust) -> None:
    """Refuse code of a package that nobody allowed here.

    :raises FormatRefused: so it is
    """
    module = code.reference.partition(":")[0]
    if not _is_within(module, trust.importable):
        raise FormatRefused(
            f"{code.reference} is code of a package that may not be imported here: if it is meant to be, add "
            f"{module.partition('.')[0]!r} to 'importable' of the connection that loads the model"
        )


def import_code(code: CodeReference, trust: Trust) -> Callable[..., Any]:
    """Import what a reference names, if it was defined in a package that may be imported here.

    :raises InvalidInput: there is no such module or name
    :raises FormatRefused: the name only passes on what another package defines
    """
    found = load_function(code.reference, purpose="inline object")
    home = getattr(found, "__module__", None)
    if not isinstance(home, str) or not _is_within(home, trust.importable):
        raise FormatRefused(f"{code.reference} passes on what {home} defines: name it where it is defined")
    return found


def _is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages if package)


def _name_of(target: Any) -> str:
    return f"{getattr(target, '__module__', '')}:{getattr(target, '__qualname__', '')}"
