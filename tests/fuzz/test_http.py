"""Whatever stands in a header, a query or a patch: understood, or refused as what it is."""

# A law says of each input what holds where it is read, and what where it is refused.
# ruff: noqa: PT017

import base64
import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.requests import Request

from app.auth.gate import _credential_of
from app.customers.schemas import EXAMPLE, CustomerBody
from app.errors import InvalidInput, MalformedRequest, PreconditionFailed, TooLarge
from app.http.etags import entity_tag, is_known, require_match
from app.http.idempotency import key_of
from app.http.merge_patch import merge, patched
from app.http.paging import decode_cursor, encode_cursor
from app.http.strict_json import parse_json
from tests.fuzz.laws import anything, header_text, json_values, law

ids = st.integers(0, 2**63 - 1)
tags = st.binary().map(entity_tag)
tag_lists = st.lists(
    st.one_of(tags, st.sampled_from(["*", "", " ", 'W/"a"', '"', ","]), header_text)
)


def _request(*headers: tuple[str, str], method: str = "POST") -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": method, "path": "/", "headers": raw})


@law
@given(ids)
def test_a_cursor_names_the_row_it_was_made_of(last_id: int) -> None:
    assert decode_cursor(encode_cursor(last_id)) == last_id


@law
@given(anything | json_values().map(lambda value: _as_cursor({"after": value})))
def test_any_text_is_a_cursor_or_malformed(text: str) -> None:
    try:
        after = decode_cursor(text)
    except MalformedRequest as refused:
        assert refused.faults[0].pointer == "/query/cursor"
    else:
        assert type(after) is int
        assert 0 <= after < 2**63


@law
@given(st.binary(), tag_lists)
def test_a_version_matches_if_and_only_if_it_is_listed(content: bytes, others: list[str]) -> None:
    etag = entity_tag(content)
    assume(not any(etag in other or "*" in other for other in others))

    assert is_known(",".join([*others, f" {etag}"]), etag)
    assert is_known(",".join([f"W/{etag}", *others]), etag)
    assert not is_known(",".join(others), etag)
    require_match(",".join([*others, etag]), etag)
    with pytest.raises(PreconditionFailed):
        require_match(",".join(others), etag)
    with pytest.raises(PreconditionFailed):
        require_match(f"W/{etag}", etag)


@law
@given(st.lists(header_text, max_size=3))
def test_any_idempotency_key_is_taken_whole_or_malformed(given_: list[str]) -> None:
    request = _request(*(("Idempotency-Key", value) for value in given_))

    try:
        key = key_of(request)
    except MalformedRequest as refused:
        assert refused.faults[0].pointer == "/header/Idempotency-Key"
    else:
        assert [key] == (given_ or [None])
        assert key is None or (key.isascii() and key.isprintable() and 0 < len(key) <= 255)


@law
@given(st.lists(header_text | header_text.map(lambda text: f"Bearer {text}"), max_size=3))
def test_any_authorization_is_one_credential_or_none(given_: list[str]) -> None:
    credential = _credential_of(_request(*(("Authorization", value) for value in given_)))

    if credential is not None:
        assert credential
        assert credential == credential.strip()
        assert given_[0].lower().startswith("bearer ")
        assert len(given_) == 1


@law
@given(json_values(), json_values())
def test_a_merge_patch_does_what_rfc_7396_says(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))

    result = merge(target, patch)

    assert _same(result, _rfc_7396(target, patch))
    assert _same(merge(result, patch), result), "once more changes nothing"
    assert _same(merge(target, {}), target if isinstance(target, dict) else {})
    assert _same((target, patch), before), "neither is changed"


@law
@given(st.dictionaries(st.sampled_from(sorted(EXAMPLE)) | anything, json_values(), max_size=4))
def test_any_patch_makes_a_valid_customer_or_is_refused(patch: dict[str, Any]) -> None:
    members = {name: value for name, value in EXAMPLE.items() if name != "external_id"}
    stored = CustomerBody.model_validate(members)

    try:
        changed: BaseModel = patched(stored, patch)
    except InvalidInput as refused:
        assert refused.faults
        assert all(fault.pointer is not None for fault in refused.faults)
    else:
        assert CustomerBody.model_validate(changed.model_dump(by_alias=True)) == changed


@law
@given(json_values())
def test_json_is_read_as_it_was_written_or_refused(value: Any) -> None:
    text = json.dumps(value)
    try:
        text.encode()
        expected = orjson.loads(text)
    except (ValueError, UnicodeEncodeError):
        with pytest.raises((MalformedRequest, TooLarge)):
            parse_json(text.encode("utf-8", "surrogatepass"))
    else:
        assert _same(parse_json(text.encode()), expected)


@law
@given(st.binary() | st.text('[]{}",:\\\\0aN-e. ').map(str.encode))
def test_any_bytes_are_json_or_malformed(body: bytes) -> None:
    try:
        value = parse_json(body)
    except MalformedRequest as refused:
        assert refused.faults
        with_twins = any(fault.code == "duplicate-member" for fault in refused.faults)
        if not with_twins:
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(body)
    else:
        assert _same(value, orjson.loads(body))


def _as_cursor(document: object) -> str:
    text = json.dumps(document)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _rfc_7396(target: Any, patch: Any) -> Any:
    """The pseudocode of section 2, as it stands there."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = dict(target)
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = _rfc_7396(target.get(name), value)
        return target
    return patch


def _same(one: Any, other: Any) -> bool:
    # NaN is not equal to itself; its text is. Repr also tells 1 from true and 1.0.
    return repr(one) == repr(other)
