"""Forms with a file, as bytes or in pieces."""

from collections.abc import Iterable, Iterator, Mapping

BOUNDARY = "b0undary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(
    content: bytes | Iterable[bytes], filename: str = "file.csv", **fields: str
) -> bytes | Iterator[bytes]:
    """Return a form; in pieces if its file is."""
    start, end = _around(filename, {"kind": "customers", "on_error": "abort", **fields})
    if isinstance(content, bytes):
        return start + content + end
    return _chained(start, content, end)


def part(disposition: str, content: bytes) -> bytes:
    """Return one part of a form."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def end_of_form() -> bytes:
    """Return what closes a form."""
    return f"--{BOUNDARY}--\r\n".encode()


def _around(filename: str, fields: Mapping[str, str]) -> tuple[bytes, bytes]:
    before = b"".join(part(f'name="{name}"', value.encode()) for name, value in fields.items())
    file = part(f'name="file"; filename="{filename}"', b"")
    return before + file.removesuffix(b"\r\n"), b"\r\n" + end_of_form()


def _chained(start: bytes, content: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    yield start
    yield from (piece for piece in content if piece)
    yield end
