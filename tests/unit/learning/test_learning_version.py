"""What is kept of a learning is kept for the libraries that learnt it."""

from importlib import metadata

import pytest

from adan_core.learning.learning_version import LEARNING_LIBRARIES, learning_version


@pytest.mark.parametrize("library", LEARNING_LIBRARIES)
def test_another_version_of_a_library_that_learns_makes_another_version_of_results(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, real = learning_version(), metadata.version
    assert learning_version.__wrapped__() == known
    monkeypatch.setattr(metadata, "version", lambda name: "0.0" if name == library else real(name))
    assert learning_version.__wrapped__() != known
