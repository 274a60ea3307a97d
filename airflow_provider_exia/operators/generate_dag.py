"""A file from an author's own Jinja2 template: the four arguments of the 2020 toolkit, without its dangers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.operators.base import RETRY_POLICY

if TYPE_CHECKING:
    from airflow.sdk import Context


class GenerateDagOperator(BaseOperator):
    """Render a template into a file, put in place in one step.

    In a template of Python code every value is written as a literal: write ``schedule={{ schedule }}`` without quotes,
    and ``{{ model | name }}`` where a name of Python is meant. The result must parse, import nothing but Airflow, this
    package and what ``imports`` adds, and be taken by the installed Airflow; only then it replaces what was there. In
    other templates values are written as they read.

    :param searchpath: folders of the templates, or one folder
    :param template_name: the template, relative to one of them
    :param parameter_dict: values for the template, of JSON types (templated)
    :param output_filepath: the file to write, inside ``root`` (templated)
    :param root: folder that the file must lie in; default: Airflow's DAGs folder
    :param imports: modules that generated Python code may import beside Airflow's, as in ``("flights",)``
    :param import_paths: folders that these modules are in
    :returns: the path of the file
    :raises TemplateFailed: the template cannot be rendered with these values
    :raises UnsafeCode: generated Python code holds what no DAG needs
    :raises ImportCheckFailed: the installed Airflow does not take it
    :raises OutputRefused: the file must not, or cannot, be written there
    """

    template_fields: Sequence[str] = ("parameter_dict", "output_filepath")
    ui_color = "#e8f0e4"

    def __init__(
        self,
        *,
        searchpath: str | Sequence[str],
        template_name: str,
        parameter_dict: Mapping[str, Any],
        output_filepath: str,
        root: str | None = None,
        imports: Sequence[str] = (),
        import_paths: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retry_policy", RETRY_POLICY)
        super().__init__(**kwargs)
        self.searchpath = searchpath
        self.template_name = template_name
        self.parameter_dict = parameter_dict
        self.output_filepath = output_filepath
        self.root = root
        self.imports = tuple(imports)
        self.import_paths = tuple(import_paths)

    def execute(self, context: Context) -> str:
        """Render, check and write."""
        from airflow_provider_exia.dag_compiler.generating import generate_file

        folders = [self.searchpath] if isinstance(self.searchpath, str) else list(self.searchpath)
        if not isinstance(self.parameter_dict, Mapping):
            raise InvalidInput(f"parameter_dict is a {type(self.parameter_dict).__name__}: expected names and values")
        generated = generate_file(
            folders,
            self.template_name,
            dict(self.parameter_dict),
            self.output_filepath,
            root=self.root if self.root is not None else _dags_folder(),
            modules=self.imports,
            import_paths=self.import_paths,
        )
        self.log.info("%s is %s", generated.path, "written" if generated.written else "unchanged")
        return str(generated.path)


def _dags_folder() -> str:
    from airflow.sdk.configuration import conf

    folder: str = conf.get("core", "dags_folder")
    return folder
