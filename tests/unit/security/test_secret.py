"""A secret does not show itself."""

import copy
import logging
import pickle

import msgspec
import pytest

from adan_core.security.secret import Secret

VALUE = "canary-4711-value"


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret(VALUE)
    texts = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", "%s" % secret]  # noqa: UP031
    texts += [repr([secret]), repr({"a": secret}), logging.Formatter().format(_record(secret))]
    assert all(VALUE not in text for text in texts)
    assert secret.reveal() == VALUE


def test_it_is_not_serialised_hashed_or_copied() -> None:
    secret = Secret(VALUE)
    for refuse in (pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode, hash):
        with pytest.raises(TypeError):
            refuse(secret)
    assert not hasattr(secret, "__dict__")


def test_secrets_are_equal_by_value() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(VALUE + "x")
    assert Secret(VALUE) != VALUE


def _record(secret: Secret) -> logging.LogRecord:
    return logging.LogRecord("a", logging.INFO, __file__, 1, "key %s", (secret,), None)
