"""Tags and notes: what people write beside a version or a model, to find it again. It is never part of what is signed.

They can be changed at any time, by anybody who may write to the library, and keep no history: the reason of a move is
what stays. A change reads, changes its own part and swaps, so that changes at the same time do not lose each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import UnknownVersion
from airflow_provider_exia.model_library.names import check_model_name, check_tag_name, parse_reference
from airflow_provider_exia.model_library.records import VERSIONS
from airflow_provider_exia.model_library.resolving import require_model, resolve
from airflow_provider_exia.model_library.resources import Attempts
from airflow_provider_exia.storage.codec import STRICT, from_document, to_document
from airflow_provider_exia.storage.documents import Collection, Query

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources

LONGEST_TAG, LONGEST_NOTE, MOST_TAGS = 256, 10_000, 100
"""Characters of a tag's text and of a note, and tags of one version or model."""

_MODEL = 0  # versions count from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What was written beside a version or a model.

    :param model: the model's name
    :param number: the version's number; 0: it is about the model
    :param tags: name to text
    :param note: any text
    :param revision: of the document; 0: nothing was ever written
    """

    model: str
    number: int
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    revision: int = 0

    __pydantic_config__ = STRICT

    @property
    def reference(self) -> str:
        """What it is about, as the calls of :class:`Annotations` take it."""
        return f"{self.model}/{self.number}" if self.number != _MODEL else self.model


ANNOTATIONS = Collection(
    name="annotations",
    fields={"model": str, "number": int},
    unique=(("model", "number"),),
)


class Annotations:
    """The tags and notes of a library.

    Here a bare name, as ``churn``, means the model itself, and not its champion: that is ``churn@champion``.

    :param resources: the library's
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def of(self, reference: str) -> Annotation:
        """Return the tags and the note of a version, or of a model; empty where nobody wrote any.

        :raises NotFound: there is no such model, version or alias
        """
        return self._read(*self._subject(reference))

    def of_versions(self, model: str) -> dict[int, Annotation]:
        """Return number to annotation of those versions of a model that have one."""
        query = Query(where={"model": check_model_name(model)}, order="number", at_least=_MODEL + 1)
        found = [from_document(Annotation, document) for document in self._resources.documents.find(ANNOTATIONS, query)]
        return {annotation.number: annotation for annotation in found}

    def tag(self, reference: str, tags: Mapping[str, str]) -> Annotation:
        """Set tags; others stay as they are.

        :param tags: name, as of a model, to text of at most 256 characters
        :returns: what is there now
        :raises InvalidInput: a tag cannot be set, or there would be more than 100
        :raises NotFound: there is no such model, version or alias
        :raises OutcomeUnknown: the store stopped answering; set them again
        """
        wanted = {check_tag_name(name): _checked_tag(name, text) for name, text in tags.items()}

        def change(present: Annotation) -> Annotation:
            changed = {**present.tags, **wanted}
            if len(changed) > MOST_TAGS:
                raise InvalidInput(
                    f"{present.reference} would have {len(changed)} tags, more than {MOST_TAGS}: remove some first"
                )
            return replace(present, tags=changed)

        return self._change(reference, change)

    def untag(self, reference: str, *names: str) -> Annotation:
        """Remove tags; one that is not there is as good as removed."""
        unwanted = {check_tag_name(name) for name in names}

        def change(present: Annotation) -> Annotation:
            return replace(present, tags={name: text for name, text in present.tags.items() if name not in unwanted})

        return self._change(reference, change)

    def note(self, reference: str, text: str) -> Annotation:
        """Write the note, in place of the one there; an empty text removes it.

        :param text: at most 10,000 characters
        """
        if not isinstance(text, str) or len(text) > LONGEST_NOTE:
            raise InvalidInput(f"a note is a text of at most {LONGEST_NOTE:,} characters: put more into a file")
        return self._change(reference, lambda present: replace(present, note=text))

    def _change(self, reference: str, change: Callable[[Annotation], Annotation]) -> Annotation:
        """Apply a change to what is there, again on every newer state until it holds."""
        model, number = self._subject(reference)  # once: whatever an alias means by a later attempt
        for attempt in Attempts(self._resources, operation=f"annotate {reference}", token=reference):
            with attempt:
                present = self._read(model, number)
                changed = change(present)
                if changed == present:  # it may be our own, after a lost reply
                    return present
                document = to_document(changed)
                if present.revision:
                    self._resources.documents.swap(ANNOTATIONS, document, revision=present.revision)
                else:
                    self._resources.documents.insert(ANNOTATIONS, document)
                return replace(changed, revision=present.revision + 1)
        raise AssertionError("attempts end by an error")

    def _read(self, model: str, number: int) -> Annotation:
        document = self._resources.documents.get(ANNOTATIONS, {"model": model, "number": number})
        return Annotation(model=model, number=number) if document is None else from_document(Annotation, document)

    def _subject(self, reference: str) -> tuple[str, int]:
        """Return model and number of what a reference is about; a version by its number in whatever state it is."""
        parsed = parse_reference(reference)
        if str(reference) == parsed.model:
            require_model(self._resources, parsed.model)
            return parsed.model, _MODEL
        if parsed.number is None:
            return parsed.model, resolve(self._resources, parsed).number
        if self._resources.documents.get(VERSIONS, {"model": parsed.model, "number": parsed.number}) is None:
            require_model(self._resources, parsed.model)
            raise UnknownVersion(str(parsed))
        return parsed.model, parsed.number


def _checked_tag(name: str, text: str) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_TAG:
        raise InvalidInput(
            f"the tag {name!r} has a text of at most {LONGEST_TAG} characters, not {str(text)[:40]!r}: a note has room "
            "for more"
        )
    return text
