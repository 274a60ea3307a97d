"""Inline objects: JSON values and references to importable code, kept in the version's document."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library import loading, publishing, resolving
from airflow_provider_exia.model_library.formats import format_named
from airflow_provider_exia.model_library.formats.code import (
    CodeReference,
    check_importable,
    import_code,
    reference_to,
)
from airflow_provider_exia.model_library.names import parse_reference
from airflow_provider_exia.model_library.publishing import Publication, SourceFile
from airflow_provider_exia.model_library.records import Lineage

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.loading import LoadPolicy
    from airflow_provider_exia.model_library.records import Version
    from airflow_provider_exia.model_library.resources import Resources

INLINE_FORMATS = ("json", "code")


class InlineObjects:
    """What a library does with values that need no file of their own."""

    resources: Resources
    policy: LoadPolicy

    def publish_inline(
        self,
        model: str,
        value: Any,
        *,
        format: str = "json",
        others: Sequence[SourceFile] = (),
        metrics: Mapping[str, float] | None = None,
        lineage: Lineage | None = None,
        input_schema: Mapping[str, str] | None = None,
        work: str | None = None,
    ) -> Version:
        """Publish a value as one new version; a value of more than 1 MB goes to the blob store by itself.

        :param value: a JSON value; for ``code`` a function or class, its name as in ``"package.module:name"``, or a
            :class:`~airflow_provider_exia.model_library.formats.code.CodeReference`
        :param format: ``json`` or ``code``
        :param others: further files, as the holdout
        :param metrics: name to finite number
        :param input_schema: column name to type of what the model expects
        :param work: what makes a repetition the same work; default: the digest of the value
        :returns: the READY version
        :raises InvalidInput: the value is none of that format, or a name or metric cannot be used
        :raises FormatRefused: this library's policy does not allow to import the code
        :raises SignatureRefused: keys are configured, and none to sign with or none that has signed what is there
        :raises OutcomeUnknown: the stores stopped answering; publish again with the same work
        """
        if format not in INLINE_FORMATS:
            raise InvalidInput(
                f"an inline object of {model!r} is 'json' or 'code', not {format!r}: publish it as a file"
            )
        if format == "code":
            value = _importable(value, self.policy)
        chosen = format_named(format)
        with tempfile.TemporaryDirectory(prefix="exia-") as folder:
            path = Path(folder) / f"model{chosen.suffix}"
            chosen.save(value, path)
            publication = Publication(
                model=model,
                files=(SourceFile(source=path, inline=True), *others),
                format=format,
                work=work,
                metrics=metrics or {},
                lineage=lineage or Lineage(),
                input_schema=input_schema,
            )
            return publishing.publish(self.resources, publication)

    def read_inline(self, reference: str) -> Any:
        """Return the JSON value of a version, or the code that it refers to, verified first.

        :raises InvalidInput: it is a model of another format
        :raises DamagedFile: it is not what was published
        :raises FormatRefused: its code may not be imported here
        :raises SignatureRefused: keys are configured, and none of them has signed it
        """

        def resolve() -> Version:
            version = resolving.resolve(self.resources, parse_reference(reference))
            if version.format not in INLINE_FORMATS:
                raise InvalidInput(f"{version.reference} is a {version.format} file and no inline object: load it")
            return version

        return loading.load(self.resources, resolve, self.policy)[0]


def _importable(value: Any, policy: LoadPolicy) -> CodeReference:
    """Return the reference to code that this library itself may import and can; what it could not use is not kept."""
    reference = value if isinstance(value, CodeReference) else reference_to(value)
    check_importable(reference, policy.trust)
    import_code(reference, policy.trust)
    return reference
