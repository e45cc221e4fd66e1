"""Fonts of pictures and PDF: the one that comes with Matplotlib, and the system's for CJK."""

import unicodedata
from functools import lru_cache

from matplotlib import font_manager

BASE = "DejaVu Sans"
# Whichever of these the system has, in this order; Simplified Chinese first.
CJK = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "SimHei",
    "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Sans JP", "Noto Sans TC",
    "Noto Sans KR", "AR PL UMing CN", "AR PL UKai CN", "Droid Sans Fallback", "Unifont",
)  # fmt: skip
# Stands for a character that no font has; a font for it makes it go away.
MISSING = "□"


@lru_cache(maxsize=1)
def families() -> list[str]:
    """Return the families to draw with: each character is taken from the first that has it."""
    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    # The manager keeps its list between runs; fonts may have been installed since.
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            manager.addfont(path)
        except (OSError, RuntimeError):
            # Not every file with the name of a font is one that can be drawn with.
            continue
    there = {entry.name for entry in manager.ttflist}
    return [BASE, *(name for name in CJK if name in there)]


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    found: set[int] = set()
    for name in families():
        path = font_manager.findfont(name, fallback_to_default=name == BASE)
        found.update(font_manager.get_font(path).get_charmap())
    return frozenset(found)


def drawable(words: str) -> str:
    """Return words on one line in characters that the fonts have."""
    composed = unicodedata.normalize("NFC", words)
    plain = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in composed
        # Marks of direction and the like have no shape.
        if unicodedata.category(letter) not in ("Cf", "Cs", "Cn", "Co")
    )
    known = _characters()
    return "".join(letter if ord(letter) in known else MISSING for letter in plain)


def has_all(words: str) -> bool:
    """Tell whether all characters of these words can be drawn."""
    return MISSING not in drawable(words.replace(MISSING, ""))
