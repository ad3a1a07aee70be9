"""What became of an import, and how it goes on if it had to stop. Told by `import`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from segmentstream_api.commands.arguments import EXIT_INTERRUPTED, PROGRAM
from segmentstream_api.commands.documents import Document
from segmentstream_api.commands.importing.posting import Rejection

INTERRUPTED = "interrupted"
_EXIT_REJECTED = 1
_EXIT_STOPPED = 2


@dataclass(slots=True)
class Outcome:
    accepted: int = 0
    rejected: list[tuple[Document, Rejection]] = field(default_factory=list)
    last: Document | None = None
    """It was answered, and so was everything before it."""
    stopped: str | None = None

    def add(self, document: Document, rejection: Rejection | None) -> None:
        self.last = document
        self.accepted += rejection is None
        if rejection is not None:
            self.rejected.append((document, rejection))

    @property
    def exit_code(self) -> int:
        if self.stopped == INTERRUPTED:
            return EXIT_INTERRUPTED
        return _EXIT_STOPPED if self.stopped else _EXIT_REJECTED if self.rejected else 0

    def way_on(self, files: Sequence[str]) -> str:
        """For people: where another run of these files would go on."""
        if self.last is None or self.last.line is None:
            return "No line was answered." if self.last is None else f"Done: {self.last.file}"
        line = self.last.line + 1
        left = shlex.join(files[files.index(self.last.file) :])
        return (
            f"Everything before {self.last.file}:{line} is done."
            " To go on there, with the same options:\n"
            f"  {PROGRAM} import --from-line {line} {left}"
        )

    def summary(self) -> dict[str, Any]:
        """For scripts."""
        reasons = [
            {"file": document.file, "line": document.line, "pointer": pointer, "detail": detail}
            for document, rejection in self.rejected
            for pointer, detail in rejection.reasons
        ]
        return {
            "accepted": self.accepted,
            "rejected": len(self.rejected),
            "stopped": self.stopped,
            "last": self.last and {"file": self.last.file, "line": self.last.line},
            "reasons": reasons,
        }


def sentences(document: Document, rejection: Rejection) -> Iterator[str]:
    for pointer, detail in rejection.reasons:
        yield f"{place(document)}: {pointer}{': ' * bool(pointer)}{detail}"


def place(document: Document) -> str:
    return document.file if document.line is None else f"{document.file}:{document.line}"
