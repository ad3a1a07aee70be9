import io
import json
from json import JSONDecodeError

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segmentstream_api.contract.strict_json import MAX_DEPTH, parse
from segmentstream_api.errors import (
    InvalidJson,
    Refused,
    TooLarge,
    WrongContentEncoding,
    WrongContentType,
    WrongLength,
)
from segmentstream_api.http.body import MAX_BODY_BYTES, read_body

BODY = b'{"event": {}}'


class Broken:
    """A stream whose client goes away after `sent`."""

    def __init__(self, sent, error):
        self._sent = io.BytesIO(sent)
        self._error = error

    def read(self, size):
        if chunk := self._sent.read(min(size, 5)):
            return chunk
        raise self._error


class Unread:
    def read(self, size):
        pytest.fail(f"{size} bytes were asked for")


def read(stream=None, **headers):
    headers = {"content_type": "application/json", "content_length": str(len(BODY))} | headers
    return read_body(stream or io.BytesIO(BODY), **headers)


class TestTheContentType:
    @pytest.mark.parametrize(
        "content_type",
        [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            'application/json ; charset="utf-8" ; v=1',
            "application/json;",
            "application/json; charset=windows-1251",
        ],
    )
    def test_is_json_in_any_case_with_any_parameters(self, content_type):
        assert read(content_type=content_type) == BODY

    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "",
            "text/plain;charset=UTF-8",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "application/json5",
            "application/json+ld",
            "application/ld+json",
            "text/json",
            "json",
            "application/json,application/json",
            "application/json, text/plain",
            "application/json; charset=utf-8, application/json",
            "application/json; charset",
            "application/json charset=utf-8",
            " application/json",
            "application/json\n",
            'application/json; a="',
            "application/json" + "; a=b" * 1600 + "; a",
        ],
    )
    def test_is_refused_when_it_is_missing_repeated_or_another(self, content_type):
        with pytest.raises(WrongContentType):
            read(Unread(), content_type=content_type)

    def test_that_was_found_is_told_but_not_at_length(self):
        with pytest.raises(WrongContentType) as refused:
            read(content_type="text/plain\x1b" + "x" * 1000)
        assert "found 'text/plain\\x1bxxx" in refused.value.detail
        assert len(refused.value.detail) < 200


class TestTheEncoding:
    @pytest.mark.parametrize("encoding", [None, "", "identity", "Identity"])
    def test_may_be_none(self, encoding):
        assert read(content_encoding=encoding) == BODY

    @pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "x"])
    def test_that_compresses_is_refused_without_reading(self, encoding):
        with pytest.raises(WrongContentEncoding):
            read(Unread(), content_encoding=encoding)


class TestAChunkedBody:
    def test_is_read_to_its_end(self):
        assert read(content_length=None, chunked=True) == BODY

    def test_may_have_as_many_bytes_as_any_other(self):
        body = b"x" * MAX_BODY_BYTES
        assert read(io.BytesIO(body), content_length=None, chunked=True) == body

    def test_is_not_read_on_beyond_the_limit(self):
        stream = io.BytesIO(b"x" * 10 * MAX_BODY_BYTES)
        with pytest.raises(TooLarge):
            read(stream, content_length=None, chunked=True)
        assert stream.tell() == MAX_BODY_BYTES + 1

    @pytest.mark.parametrize("error", [OSError("reset"), ValueError("no last chunk")])
    def test_without_its_last_chunk_is_truncated(self, error):
        with pytest.raises(WrongLength):
            read(Broken(BODY, error), content_length=None, chunked=True)


class TestTheLength:
    @pytest.mark.parametrize("length", [len(BODY), str(len(BODY)), f"000000{len(BODY)}"])
    def test_is_a_decimal_number(self, length):
        assert read(content_length=length) == BODY

    @pytest.mark.parametrize(
        "length",
        ["-1", -1, "+13", "1e1", "0x0d", "13.0", " 13", "13\n", "13,13", "1_3", "٣", "²"],
    )
    def test_is_refused_when_it_is_no_number(self, length):
        with pytest.raises(WrongLength, match="Content-Length must be a decimal number"):
            read(Unread(), content_length=length)

    @pytest.mark.parametrize("length", [None, ""])
    def test_is_asked_for_when_it_is_missing(self, length):
        with pytest.raises(WrongLength, match="Send the header Content-Length"):
            read(Unread(), content_length=length)

    @pytest.mark.parametrize("length", ["0", "000", 0])
    def test_may_be_zero_and_nothing_is_read(self, length):
        assert read(Unread(), content_length=length) == b""

    def test_may_be_64_kib(self):
        body = b"x" * 65_536
        assert MAX_BODY_BYTES == 65_536
        assert read(io.BytesIO(body), content_length="65536") == body

    @pytest.mark.parametrize("length", [65_537, "65537", "100000000", "9" * 5000])
    def test_beyond_64_kib_is_refused_without_reading(self, length):
        with pytest.raises(TooLarge, match="65536"):
            read(Unread(), content_length=length)

    def test_is_where_reading_ends(self):
        stream = io.BytesIO(BODY + b"the next request")
        assert read(stream) == BODY
        assert stream.read() == b"the next request"

    def test_is_reached_in_as_many_reads_as_it_takes(self):
        class Slow(io.BytesIO):
            def read(self, size=-1):
                return super().read(min(size, 1))

        assert read(Slow(BODY)) == BODY

    def test_not_reached_is_refused_and_never_half_an_event(self):
        with pytest.raises(WrongLength, match="13 of 14 bytes"):
            read(content_length=14)

    @pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError("gone")])
    def test_not_reached_because_the_client_went_away_is_refused(self, error):
        with pytest.raises(WrongLength, match="7 of 13 bytes") as refused:
            read(Broken(BODY[:7], error))
        assert refused.value.__cause__ is error


class TestJson:
    @pytest.mark.parametrize(
        ("body", "document"),
        [
            (b"{}", {}),
            (b' {"a": [1, -2.5e3, true, null, "x"]}\r\n', {"a": [1, -2500.0, True, None, "x"]}),
            (b"[]", []),
            (b'"text"', "text"),
            ('{"ключ": "🍎"}'.encode(), {"ключ": "🍎"}),
            (b'"\\ud83c\\udf4e \\u00e9 \\u0000"', "🍎 é \0"),
            (b'"\\\\ud800 is an escape"', "\\ud800 is an escape"),
            (b"1e-400", 0.0),
            (b"1.7e308", 1.7e308),
            (b"9223372036854775808", 2**63),
            (b'{"a": 1, "a": 2}', {"a": 2}),
            (b'{"a": {"b": 1}, "a": {"c": 2}}', {"a": {"c": 2}}),
        ],
    )
    def test_is_parsed_and_of_duplicate_keys_the_last_wins(self, body, document):
        assert parse(body) == document

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            (b"{", "line 1, column 2"),
            (b'{\n  "a": 1,\n  b: 2}', "line 3, column 3"),
            (b'{"a": 1,}', "line 1, column"),
            (b"[1, 2", "line 1, column 6"),
            (b"{} {}", "line 1, column 4"),
            (b"'a'", "line 1, column 1"),
            (b"{'a': 1}", "line 1, column 2"),
            (b'{"a": 01}', "line 1, column 8"),
            (b'{"a": 1 /* one */}', "line 1, column 9"),
            (b'"a\nb"', "line 1, column 3"),
            (b'"\0"', "line 1, column 2"),
            (b'"\\x41"', "line 1, column 2"),
            (b'"\\u12"', "line 1, column"),
            (b"True", "line 1, column 1"),
            (b"nul", "line 1, column 1"),
            (b"+1", "line 1, column 1"),
            (b".5", "line 1, column 1"),
            (b"0x10", "line 1, column 2"),
            (b"   ", "line 1, column 4"),
            (b"event=Registered", "line 1, column 1"),
            ("{}".encode("utf-16-le"), "line 1, column 2"),
        ],
    )
    def test_that_is_none_is_refused_with_its_place(self, body, place):
        with pytest.raises(InvalidJson, match=place) as refused:
            parse(body)
        assert isinstance(refused.value.__cause__, JSONDecodeError)

    def test_is_not_an_empty_body(self):
        with pytest.raises(InvalidJson, match="empty"):
            parse(b"")

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (b'{"a": "\xff"}', "byte 7 is not"),
            (b'"\xed\xa0\x80"', "byte 1 is not"),  # a surrogate, encoded
            (b'"\xc0\x80"', "byte 1 is not"),  # an overlong NUL
            (b'"\xf4\x90\x80\x80"', "byte 1 is not"),  # beyond U+10FFFF
            ('"é"'.encode("latin-1"), "byte 1 is not"),
            ("{}".encode("utf-16"), "byte 0 is not"),
            ('"Привет"'.encode("cp1251"), "byte 1 is not"),
            (b"\xef\xbb\xbf{}", "byte order mark"),
        ],
    )
    def test_is_utf_8_without_a_byte_order_mark(self, body, sentence):
        with pytest.raises(InvalidJson, match=sentence):
            parse(body)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
    def test_has_no_such_number(self, number):
        with pytest.raises(InvalidJson, match=f"{number} is not JSON"):
            parse(f'{{"a": [{number}]}}'.encode())

    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1.5E+309", "1" * 400 + ".0"])
    def test_has_no_number_that_becomes_infinite(self, number):
        with pytest.raises(InvalidJson, match="too large"):
            parse(f'{{"a": [{number}]}}'.encode())

    @pytest.mark.parametrize("digits", [4301, 65_536])
    def test_has_no_integer_that_takes_too_long(self, digits):
        with pytest.raises(InvalidJson, match="more than 4300 digits"):
            parse(b"9" * digits)

    @pytest.mark.parametrize("digits", [20, 4300])
    def test_may_have_long_integers_that_can_be_written_again(self, digits):
        assert json.dumps(parse(b"9" * digits)) == "9" * digits

    @pytest.mark.parametrize(
        "body",
        [
            b'"\\ud800"',
            b'"\\uDFFF"',
            b'{"\\ud83c": 1}',
            b'[{"a": ["x\\udf4e\\ud83c"]}]',
            b'"\\ud83c\\ud83c\\udf4e"',
            b'"\\ud83c \\udf4e"',
        ],
    )
    def test_has_no_lone_surrogate_in_values_or_keys(self, body):
        with pytest.raises(InvalidJson, match="surrogate"):
            parse(body)

    @pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
    def test_may_be_64_deep_and_no_deeper(self, opening, closing):
        inside = b"[]" if opening == b"[" else b"{}"
        assert MAX_DEPTH == 64
        parse(opening * 63 + inside + closing * 63)
        parse(b"[[]," + opening * 62 + inside + closing * 62 + b"]")
        with pytest.raises(InvalidJson, match="more than 64 deep"):
            parse(opening * 64 + inside + closing * 64)

    def test_may_be_wide_and_may_hold_brackets_in_strings(self):
        assert parse(b"[" + b"[[]]," * 1000 + b"0]")[-1] == 0
        assert parse(b'"' + b"[" * 1000 + b'"') == "[" * 1000

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 65_536,
            b"[" * 32_768 + b"]" * 32_768,
            b'{"":' * 13_107,
            b'[{"":' * 900 + b"0" + b"}]" * 900,
        ],
    )
    def test_that_is_very_deep_is_refused_like_any_other(self, body):
        with pytest.raises(InvalidJson, match="more than 64 deep"):
            parse(body)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"token": s3cret}',
            b'{"s3cret": "\xff"}',
            b'"s3cret\\ud800"',
            b"s3cret",
            b'{"s3cret" 1}',
        ],
    )
    def test_is_never_repeated_in_an_answer(self, body):
        with pytest.raises(InvalidJson) as refused:
            parse(body)
        assert "s3cret" not in refused.value.detail


fragments = st.lists(
    st.sampled_from(
        [
            *rb'{ } [ ] , : " "a" \ \u \ud83c \udf4e d800 1 - . e400 NaN null'.split(),
            *[b" ", b"\xff", b"\xc3\xa9", b"[" * 70],
        ]
    ),
    max_size=30,
).map(b"".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@settings(deadline=None)  # how fast is not the question here
@given(st.binary(max_size=200) | fragments | values.map(lambda v: json.dumps(v).encode()))
@example(b"[" * 65_536)
@example(b'{"\\ud800": 1e400}')
def test_whatever_comes_is_refused_or_can_be_written_again(body):
    try:
        document = parse(body)
    except Refused:
        return
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


@settings(deadline=None)
@given(values)
def test_whatever_json_can_say_is_parsed(value):
    try:
        body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        return
    assert parse(body) == value


@settings(deadline=None)
@given(st.text(), st.text(), st.text() | st.integers(), st.binary(max_size=20))
def test_whatever_the_headers_say_the_body_comes_whole_or_is_refused(kind, coding, length, body):
    for content_type in (kind, "application/json"):
        try:
            found = read_body(
                io.BytesIO(body),
                content_type=content_type,
                content_length=length,
                content_encoding=coding if content_type == kind else None,
            )
        except Refused:
            continue
        assert len(found) == int(length)
        assert body.startswith(found)
