"""Answering 304 to a caller who holds the newest answer (RFC 9110, section 13.1.2)."""


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Tell whether `etag`, with its quotes, is among those the caller holds."""
    if if_none_match is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag in known
