"""ClickHouse's exception codes, and what each means for the rows. Called by `clickhouse.py`.

Source: src/Common/ErrorCodes.cpp of ClickHouse 26. Which of them to retry is nowhere documented:
what is not clearly of the rows or of the configuration is retried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from segmentstream_api.destinations.base import Outcome, Rejected, Retry
from segmentstream_api.destinations.transport.sender import Answer

OF_THE_ROWS: Mapping[int, str] = MappingProxyType(
    {
        6: "CANNOT_PARSE_TEXT",
        25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
        26: "CANNOT_PARSE_QUOTED_STRING",
        27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
        38: "CANNOT_PARSE_DATE",
        41: "CANNOT_PARSE_DATETIME",
        53: "TYPE_MISMATCH",
        69: "ARGUMENT_OUT_OF_BOUND",
        70: "CANNOT_CONVERT_TYPE",
        72: "CANNOT_PARSE_NUMBER",
        117: "INCORRECT_DATA",
        131: "TOO_LARGE_STRING_SIZE",
        321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
        376: "CANNOT_PARSE_UUID",
        441: "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING",
        467: "CANNOT_PARSE_BOOL",
        469: "VIOLATED_CONSTRAINT",
        675: "CANNOT_PARSE_IPV4",
        676: "CANNOT_PARSE_IPV6",
    }
)
OF_THE_CONFIGURATION: Mapping[int, str] = MappingProxyType(
    {
        16: "NO_SUCH_COLUMN_IN_TABLE",
        20: "NUMBER_OF_COLUMNS_DOESNT_MATCH",
        36: "BAD_ARGUMENTS",
        44: "ILLEGAL_COLUMN",
        47: "UNKNOWN_IDENTIFIER",
        48: "NOT_IMPLEMENTED",
        60: "UNKNOWN_TABLE",
        62: "SYNTAX_ERROR",
        73: "UNKNOWN_FORMAT",
        81: "UNKNOWN_DATABASE",
        115: "UNKNOWN_SETTING",
        164: "READONLY",
        192: "UNKNOWN_USER",
        193: "WRONG_PASSWORD",
        194: "REQUIRED_PASSWORD",
        195: "IP_ADDRESS_NOT_ALLOWED",
        291: "DATABASE_ACCESS_DENIED",
        452: "SETTING_CONSTRAINT_VIOLATION",
        497: "ACCESS_DENIED",
        516: "AUTHENTICATION_FAILED",
    }
)

_CODE = "[0-9]{1,5}"
# Since version 25.11 what comes after the headers were sent is marked.
_IN_BODY = re.compile(rf"\s*(?:__exception__\s+\S+\s+)?Code: ({_CODE})[.,]".encode())


def exception_code(answer: Answer) -> int | None:
    """The exception's code, from the header or the body; the status may well be 200."""
    header = answer.headers.get("X-ClickHouse-Exception-Code", "")
    if re.fullmatch(_CODE, header):
        return int(header) or None
    found = _IN_BODY.match(answer.body)
    return int(found[1]) if found else None


def exception_outcome(code: int) -> Outcome:
    """What the exception means for a row that is inserted alone."""
    if code in OF_THE_ROWS:
        return Rejected(f"ClickHouse: code {code} {OF_THE_ROWS[code]}")
    if code in OF_THE_CONFIGURATION:
        return Retry(f"ClickHouse: code {code} {OF_THE_CONFIGURATION[code]}", misconfigured=True)
    return Retry(f"ClickHouse: code {code}")
