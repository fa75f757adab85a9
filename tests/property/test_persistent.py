"""A persistent map behaves like a dictionary, and its older versions stay as they were."""

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.persistent import SHARDS, PersistentMap

steps = st.lists(st.lists(st.tuples(st.integers(0, 3 * SHARDS), st.none() | st.integers()), max_size=8), max_size=8)


@given(steps)
def test_it_is_a_dictionary_at_every_step(steps):
    model: dict[int, int] = {}
    current: PersistentMap[int, int] = PersistentMap()
    versions = []
    for changes in steps:
        editor = current.edit()
        for key, value in changes:
            if value is None:
                assert editor.pop(key) == model.pop(key, None)
            else:
                editor.set(key, value)
                model[key] = value
        current = editor.done()
        versions.append((current, dict(model)))
    for version, expected in versions:
        assert len(version) == len(expected)
        assert {key: version.get(key) for key in version} == expected
        assert sorted(version.values()) == sorted(expected.values())
        assert version == PersistentMap.of(expected)
