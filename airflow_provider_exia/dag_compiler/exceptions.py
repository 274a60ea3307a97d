"""What can be wrong with a pipeline spec, a generated file or the folder that it goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_exia.exceptions import ExiaError, InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a spec.

    :param line: of the file, from 1; None where no line can be named
    :param field: as in ``gate.min_gain``; empty for the whole file
    :param what: what is wrong and what was expected
    """

    line: int | None
    field: str
    what: str

    def sentence(self, source: str) -> str:
        """Return it as one line, as compilers do.

        :param source: what the file is called
        """
        place = source if self.line is None else f"{source}:{self.line}"
        return f"{place}: {self.field}: {self.what}" if self.field else f"{place}: {self.what}"


class WrongSpec(InvalidInput):
    """A pipeline spec cannot be compiled.

    :param source: path of the spec, as it was given
    :param problems: at least one, in the order of the file
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source, self.problems = source, tuple(problems)
        super().__init__("; ".join(self.sentences()))

    def sentences(self, source: str | None = None) -> list[str]:
        """Return one sentence for each problem.

        :param source: what to call the file; default: as it was given
        """
        return [problem.sentence(self.source if source is None else source) for problem in self.problems]


class UnsafeCode(ExiaError):
    """Generated code holds something that no generated DAG needs.

    :param what: the finding
    :param line: of the generated text
    """

    def __init__(self, what: str, *, line: int | None = None) -> None:
        self.what, self.line = what, line
        super().__init__(f"generated code, line {line}: {what}" if line is not None else f"generated code: {what}")


class TemplateFailed(InvalidInput):
    """A template cannot be rendered with these parameters; the message names the template, its line and the reason."""


class ImportCheckFailed(ExiaError):
    """Generated DAG files could not be imported by the installed Airflow, or did not hold the DAGs that they should."""


class OutputRefused(InvalidInput):
    """A file must not be written where it was asked for; the message says why and what to do."""
