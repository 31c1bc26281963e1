"""Cleaning names and texts."""

import pytest

from duplexio.chat.errors import ChatError
from duplexio.chat.limits import Limits
from duplexio.chat.names import clean_id, clean_name, clean_room, clean_text, name_key

LIMITS = Limits()


class TestNames:
    @pytest.mark.parametrize(
        ("typed", "shown"),
        [
            ("Ada", "Ada"),
            ("  Ada \t Lovelace\n", "Ada Lovelace"),
            ("\u202eevil\u202c", "evil"),
            ("zero\u200bwidth", "zerowidth"),
            ("\ud800lone", "lone"),
            ("\uff21da", "Ada"),  # fullwidth A
            ("bell\x07", "bell"),
            ("a" + "\u0301" * 50, "á" + "\u0301" * 3),
            ("Jürgen", "Jürgen"),
            ("李", "李"),
            ("<b>", "<b>"),
        ],
    )
    def test_cleaned(self, typed, shown):
        assert clean_name(typed, LIMITS) == shown

    @pytest.mark.parametrize("typed", ["", "  ", "\u200b", "\u202e\u202c", "\u3164"[:0]])
    def test_nothing_left(self, typed):
        with pytest.raises(ChatError, match="choose a name") as caught:
            clean_name(typed, LIMITS)
        assert caught.value.code == "name_empty"

    def test_too_long_names_the_limit(self):
        clean_name("x" * 24, LIMITS)
        with pytest.raises(ChatError, match="25 characters; 24"):
            clean_name("x" * 25, LIMITS)

    def test_a_huge_name_is_cut_before_it_costs_time(self):
        with pytest.raises(ChatError, match="24 at most"):
            clean_name("x" * 1_000_000, LIMITS)

    @pytest.mark.parametrize("typed", ["Ada: hi", "*Ada", "Ada\uff1a"])
    def test_names_that_would_look_like_something_else_in_lines(self, typed):
        with pytest.raises(ChatError) as caught:
            clean_name(typed, LIMITS)
        assert caught.value.code == "name_bad"

    def test_same_names(self):
        assert name_key("ADA") == name_key("ada")
        assert name_key("Ada") != name_key("Adb")


class TestRooms:
    @pytest.mark.parametrize(
        ("typed", "name"),
        [("", "lobby"), ("#Tea Time", "tea-time"), (" Python ", "python"), ("Grüße", "grüsse")],
    )
    def test_cleaned(self, typed, name):
        assert clean_room(typed, LIMITS) == name

    @pytest.mark.parametrize("typed", ["a/b", "..", "-a", "a-", "<x>", "a\0b", "\u202ea"])
    def test_refused(self, typed):
        with pytest.raises(ChatError) as caught:
            clean_room(typed, LIMITS)
        assert caught.value.code == "room_bad"

    def test_too_long(self):
        with pytest.raises(ChatError, match="33 characters; 32"):
            clean_room("x" * 33, LIMITS)


class TestTexts:
    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("hi\r\nthere\r", "hi\nthere"),
            ("\n\n  indented  \n", "  indented"),
            ("\x1b[31mred", "[31mred"),
            ("a\u202eb\u2066c", "abc"),
            ("\ud83d", "\ufffd"),
            ("tab\tstays", "tab\tstays"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ],
    )
    def test_cleaned(self, typed, kept):
        assert clean_text(typed, LIMITS) == kept
        kept.encode()

    @pytest.mark.parametrize("typed", ["", " ", "\n\n", "\u202e", "\0"])
    def test_empty(self, typed):
        with pytest.raises(ChatError, match="empty"):
            clean_text(typed, LIMITS)

    def test_the_limit_counts_characters(self):
        assert len(clean_text("😀" * 4000, LIMITS)) == 4000
        with pytest.raises(ChatError, match="4,001 characters; 4,000 at most"):
            clean_text("😀" * 4001, LIMITS)


class TestIds:
    def test_accepted(self):
        assert clean_id("a-B_9") == "a-B_9"

    @pytest.mark.parametrize("value", ["", "x" * 65, "a b", "é", "a\n"])
    def test_refused(self, value):
        with pytest.raises(ChatError):
            clean_id(value)
