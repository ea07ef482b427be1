"""Small text files that people write: jobs, rules, hierarchies."""

from __future__ import annotations

from pathlib import Path

from sandbox.errors import DocumentError, NotFound, UsageError


def read_document(path: Path, *, limit: int) -> str:
    """Return a small UTF-8 file's text. Raises NotFound, UsageError for what is no such file, DocumentError."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {str(path)!r}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise UsageError(f"the file {str(path)!r} cannot be read: {reason}") from None
    if len(data) > limit:
        raise DocumentError(f"{str(path)!r} is larger than {limit} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError(f"{str(path)!r} is not UTF-8 text; save it as UTF-8") from None
