"""Whatever stands in the environment: settings, or a list of what is wrong with them."""

# A law says of each input what holds where it is read, and what where it is refused.
# ruff: noqa: PT017

import os
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from app.errors import SetupError
from app.settings import PREFIX, Settings, load_settings
from tests.fuzz.laws import json_values, law

# What an environment variable may hold.
values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.sampled_from(["", "on", "off", "1", "-1", "1e9", "nan", "{}", "https://a.example", "[::1]"]),
    json_values(st.integers() | st.booleans()).map(str).filter(lambda text: "\0" not in text),
)
names = st.sampled_from([name.upper() for name in Settings.model_fields]) | st.sampled_from(
    ["PROT", "WORK__CIRCUITY", "WORK__CLASSES", "WORK__NONSENSE", "", "PORT_FILE"]
)


@law
@given(st.dictionaries(names, values.filter(lambda text: text.isprintable()), max_size=4))
def test_any_environment_is_settings_or_a_list_of_faults(given_: dict[str, str]) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    variables = {PREFIX + name: value for name, value in given_.items()}

    with mock.patch.dict(os.environ, kept | variables, clear=True):
        try:
            settings = load_settings()
        except SetupError as refused:
            assert refused.faults
            # Some need others: what is named may be what is missing.
            assert all((fault.pointer or PREFIX).startswith(PREFIX) for fault in refused.faults)
        else:
            assert 0 <= settings.port <= 65535
            assert settings.work.default_class in settings.work.classes
