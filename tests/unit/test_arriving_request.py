"""What a request still needs before a thread can serve it without waiting for the client."""

import pytest

from videoconf.serving.request import LOOKED_AT_BYTES, Need, find_need

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("data", "need"),
    [
        (b"", Need.HEAD),
        (GET, Need.HEAD),
        (GET + b"\r", Need.HEAD),
        (GET + b"\n\n", Need.HEAD),
        (GET + b"\r\n", Need.NOTHING),
        (GET + b"\r\n" + GET, Need.NOTHING),
        (b"garbage\r\n\r\n", Need.NOTHING),
        (b"G" * LOOKED_AT_BYTES, Need.SHORTER_HEAD),
        (POST + b"Content-Length: 3\r\n\r\n", Need.BODY),
        (POST + b"content-length:3\r\n\r\nab", Need.BODY),
        (POST + b"CONTENT-LENGTH: 3 \r\n\r\nabc", Need.NOTHING),
        (POST + b"Content-Length: 3\r\n\r\nabcGET", Need.NOTHING),
        (POST + b"Content-Length: 0\r\n\r\n", Need.NOTHING),
        (GET + b"Content-Length: 3\r\n\r\n", Need.BODY),
        (POST + b"Content-Length: %d\r\n\r\n" % LOOKED_AT_BYTES, Need.READER),
        (POST + b"Content-Length: 9999999999999999999\r\n\r\n", Need.READER),
        (POST + b"Content-Length: -3\r\n\r\nabc", Need.READER),
        (POST + b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n", Need.READER),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Need.READER),
        (POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", Need.READER),
        (POST + b"X-Content-Length: 3\r\n\r\n", Need.NOTHING),
        (POST + b"\r\nContent-Length: 3\r\n\r\n", Need.NOTHING),
    ],
)
def test_incomplete_request_needs_its_missing_part(data, need):
    assert find_need(data) is need
