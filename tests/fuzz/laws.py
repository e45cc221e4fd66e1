"""How the parsers are fuzzed: a little and always the same in CI, more when asked.

`FUZZ_EXAMPLES=20000 pytest tests/fuzz` tries so many per law, each time others.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ASKED_FOR = os.environ.get("FUZZ_EXAMPLES")

law = settings(
    deadline=None,
    derandomize=ASKED_FOR is None,
    max_examples=int(ASKED_FOR or 50),
    # Files are written anew for each example; a folder may be the same.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Every character there is: U+0000, lone surrogates, marks of direction.
anything = st.text(st.characters(exclude_categories=[]))
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
header_text = st.text(st.characters(max_codepoint=0xFF))
numbers = st.one_of(st.integers(), st.floats(), st.integers(-(10**400), 10**400))


def json_values(leaves: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    """Return values as a JSON parser may give them, numbers out of any range included."""
    inner = leaves if leaves is not None else st.one_of(st.none(), st.booleans(), numbers, anything)
    return st.recursive(
        inner, lambda item: st.lists(item, max_size=5) | st.dictionaries(anything, item, max_size=5)
    )
