"""Uids and their keys."""

import secrets

from duplexio.chat.identity import Identities


def test_a_key_proves_one_uid_and_no_other():
    identities = Identities(b"secret", secrets.token_bytes)
    ada, grace = identities.new_uid(), identities.new_uid()
    assert ada != grace
    assert identities.owns(ada, identities.key_of(ada))
    assert not identities.owns(ada, identities.key_of(grace))
    assert not identities.owns(ada, "")
    assert not identities.owns(ada, "\ud800")


def test_keys_belong_to_the_secret():
    first = Identities(b"first", secrets.token_bytes)
    second = Identities(b"second", secrets.token_bytes)
    assert not second.owns("uid", first.key_of("uid"))
    assert Identities(b"first", secrets.token_bytes).owns("uid", first.key_of("uid"))
