"""What a file seems to be, from its first bytes, before any parser sees it."""

import codecs
from typing import Literal

from app.errors import Fault, InvalidInput

HEAD_BYTES = 2**16
FileFormat = Literal["csv", "geojson"]

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "an Excel workbook (XLSX) or another ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (XLS)"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an XZ archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"SQLite format 3\x00", "an SQLite database (GeoPackage)"),
    (b"PAR1", "a Parquet file"),
    (b"fgb\x03", "a FlatGeobuf file"),
    (b"\x00\x00\x27\x0a", "a Shapefile"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"{\\rtf", "a rich text document"),
)
UTF_16_OR_32 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a"))
# A stray U+0000 in a cell is reported with its row; a program or an image has many such bytes.
CONTROL_SHARE_OF_BINARY = 0.05


def file_format(head: bytes) -> FileFormat:
    """Return the format of a file that begins with `head`.

    Raises
    ------
    InvalidInput
        When it is empty or neither text in UTF-8 nor GeoJSON, saying what it seems to be.
    """
    if head.startswith(UTF_16_OR_32):
        raise refused_file("encoding", "The file is UTF-16 or UTF-32 text; save it as UTF-8.")
    for magic, name in MAGIC:
        if head.startswith(magic):
            raise _foreign(name)
    if len(head) - len(head.translate(None, CONTROLS)) > CONTROL_SHARE_OF_BINARY * len(head):
        # In text of Western languages every second byte of UTF-16 is zero.
        is_wide_text = max(head[::2].count(0), head[1::2].count(0)) > 0.4 * len(head) / 2
        raise _foreign("UTF-16 text without a mark" if is_wide_text else "a binary file")
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text:
        raise refused_file("empty", "The file is empty.")
    if text.startswith((b"{", b"[")):
        return "geojson"
    if text.startswith(b"<"):
        raise _foreign("XML, KML or HTML")
    return "csv"


def refused_file(code: str, detail: str) -> InvalidInput:
    """Return the refusal of a whole file; what it quotes of the file is made printable."""
    detail = "".join(sign if sign.isprintable() else "?" for sign in detail)
    return InvalidInput(detail, [Fault(code, detail, "/file")])


def not_utf8(head: bytes) -> InvalidInput:
    """Return the refusal of text in another encoding, with a guess at which."""
    try:
        # A character cut at the end of the head is no sign against the encoding.
        guess = codecs.getincrementaldecoder("gb18030")().decode(head)
        is_chinese = sum("\u4e00" <= sign <= "\u9fff" for sign in guess) * 3 > sum(
            not sign.isascii() for sign in guess
        )
    except UnicodeDecodeError:
        is_chinese = False
    name = "GBK or GB18030" if is_chinese else "Windows-1252 or another 8-bit encoding"
    return refused_file(
        "encoding", f"The file is not UTF-8; it looks like {name}. Save it as UTF-8."
    )


def _foreign(name: str) -> InvalidInput:
    return refused_file(
        "file-type", f"The file seems to be {name}; a CSV or GeoJSON file is needed."
    )
