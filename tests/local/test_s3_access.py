"""The embedded S3 refuses what S3 refuses, in S3's words, and serves nobody but its own."""

import http.client
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode, urlsplit

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support.device import Device, device
from tests.support.runner import NO_LAG, LocalRunner, local_runner
from tests.support.users import Pair

CONTENT = b"nine byte"
ORIGIN = "https://chat.example.com"


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner(*NO_LAG, "--parameter-overrides", f"AllowedOrigins={ORIGIN}") as run:
        yield run


@pytest.fixture
def pair() -> Pair:
    return Pair.new()


@pytest.fixture
def sender(run: LocalRunner, pair: Pair) -> Iterator[Device]:
    with device(run.url, userId=pair.first) as sender:
        yield sender


@pytest.fixture
def upload(sender: Device, pair: Pair) -> dict[str, Any]:
    upload = sender.ask(
        {
            "action": "sendfile",
            "chatId": pair.chat_id,
            "fileName": "notes.txt",
            "contentType": "text/plain",
            "size": len(CONTENT),
        }
    )
    assert upload["type"] == "upload", upload
    return upload


def element(answer: httpx.Response, name: str) -> str:
    """Return the text of an element of an S3 error."""
    found = re.search(f"<{name}>(.*)</{name}>", answer.text)
    return found[1] if found else ""


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of an S3 error."""
    assert answer.headers["Content-Type"] == "application/xml"
    return answer.status_code, element(answer, "Code")


def put(
    upload: dict[str, Any],
    headers: Mapping[str, str] | None = None,
    url: str | None = None,
    **how: Any,
) -> httpx.Response:
    body = how or {"content": CONTENT}
    wanted = upload["headers"] if headers is None else headers
    return httpx.put(url or upload["uploadUrl"], headers=wanted, timeout=30, **body)


def link_of(bucket_url: str, *, signed_at: datetime, expires_s: int = 900, key: str = "x") -> str:
    """Sign a link to GET a file, with the well-known key and secret but not the token."""
    signer = S3SigV4QueryAuth(Credentials("local", "local"), "s3", "us-east-1", expires=expires_s)
    request = AWSRequest("GET", f"{bucket_url}/{key}")
    with patch("botocore.auth.get_current_datetime", return_value=signed_at):
        signer.add_auth(request)
    return str(request.url)


def with_query(url: str, **changes: str) -> str:
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    query |= {f"X-Amz-{name.replace('_', '-')}": value for name, value in changes.items()}
    return urlsplit(url)._replace(query=urlencode(query)).geturl()


def test_signed_upload_is_stored_and_then_not_replaced(upload: dict[str, Any]) -> None:
    assert put(upload).status_code == 200
    assert error_of(put(upload)) == (412, "PreconditionFailed")


@pytest.mark.parametrize(
    ("changes", "content"),
    [
        ({"Content-Type": "", "If-None-Match": "", "x-amz-tagging": ""}, CONTENT),
        ({"Content-Type": "image/png"}, CONTENT),
        ({"Content-Type": "text/plain; charset=utf-8"}, CONTENT),
        ({"If-None-Match": ""}, CONTENT),
        ({"If-None-Match": '"an-etag"'}, CONTENT),
        ({"x-amz-tagging": "state=sent"}, CONTENT),
        ({}, CONTENT + b"!"),
        ({}, b""),
    ],
    ids=[
        "no headers", "another type", "a charset", "no If-None-Match", "another If-None-Match",
        "another tag", "longer", "empty",
    ],
)  # fmt: skip
def test_upload_that_differs_from_its_signature_is_refused(
    upload: dict[str, Any], changes: dict[str, str], content: bytes
) -> None:
    headers = {name: value for name, value in {**upload["headers"], **changes}.items() if value}
    answer = put(upload, headers, content=content)
    assert error_of(answer) == (403, "SignatureDoesNotMatch")
    assert put(upload).status_code == 200  # nothing was stored


def test_large_upload_that_is_refused_gets_its_answer(upload: dict[str, Any]) -> None:
    answer = put(upload, content=bytes(30_000_000))
    assert error_of(answer) == (403, "SignatureDoesNotMatch")


def test_form_in_place_of_the_bytes_is_refused(upload: dict[str, Any]) -> None:
    headers = {name: value for name, value in upload["headers"].items() if name != "Content-Type"}
    answer = put(upload, headers, files={"file": ("notes.txt", CONTENT, "text/plain")})
    assert error_of(answer) == (403, "SignatureDoesNotMatch")


def test_chunked_upload_without_length_is_refused(upload: dict[str, Any]) -> None:
    answer = put(upload, content=iter([CONTENT]))
    assert error_of(answer) == (411, "MissingContentLength")


@pytest.mark.parametrize("name", ["Signature", "Date", "Credential"])
def test_forged_link_is_refused(upload: dict[str, Any], name: str) -> None:
    forged = {
        "Signature": "0" * 64,
        "Date": f"{datetime.now(UTC):%Y%m%d}T000000Z",
        "Credential": f"local/{datetime.now(UTC):%Y%m%d}/eu-west-1/s3/aws4_request",
    }
    # The link lives as long as S3 allows, so that none is refused for its age.
    url = with_query(upload["uploadUrl"], **{name: forged[name], "Expires": "604800"})
    assert error_of(put(upload, url=url)) == (403, "SignatureDoesNotMatch")


def test_expired_link_is_refused(run: LocalRunner) -> None:
    url = link_of(f"{run.aws_endpoint}/b", signed_at=datetime.now(UTC) - timedelta(minutes=16))
    answer = httpx.get(url)
    assert error_of(answer) == (403, "AccessDenied")
    assert element(answer, "Message") == "Request has expired"
    assert element(answer, "X-Amz-Expires") == "900"


def test_link_from_the_future_is_refused(run: LocalRunner) -> None:
    url = link_of(f"{run.aws_endpoint}/b", signed_at=datetime.now(UTC) + timedelta(minutes=20))
    answer = httpx.get(url)
    assert error_of(answer) == (403, "AccessDenied")
    assert b"not yet valid" in answer.content


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"Expires": "604801"}, 400, "AuthorizationQueryParametersError"),
        ({"Expires": "soon"}, 400, "AuthorizationQueryParametersError"),
        ({"Date": "today"}, 400, "AuthorizationQueryParametersError"),
        ({"Credential": "local"}, 400, "AuthorizationQueryParametersError"),
        ({"Algorithm": "AWS4-HMAC-MD5"}, 400, "AuthorizationQueryParametersError"),
        ({"Security_Token": "guessed"}, 400, "InvalidToken"),
    ],
)
def test_malformed_link_is_refused(
    upload: dict[str, Any], changes: dict[str, str], status: int, code: str
) -> None:
    url = with_query(upload["uploadUrl"], **changes)
    assert error_of(put(upload, url=url)) == (status, code)


def test_link_of_another_key_is_refused(upload: dict[str, Any]) -> None:
    url = re.sub("Credential=local-[^%]+%2F", "Credential=test%2F", upload["uploadUrl"])
    assert error_of(put(upload, url=url)) == (403, "InvalidAccessKeyId")


def test_link_without_the_token_of_this_run_is_refused(run: LocalRunner) -> None:
    # Key and secret are in this repository, so any web page could sign this.
    url = link_of(f"{run.aws_endpoint}/b", signed_at=datetime.now(UTC))
    assert error_of(httpx.get(url)) == (400, "InvalidToken")


def test_signature_version_2_is_refused(run: LocalRunner) -> None:
    url = f"{run.aws_endpoint}/b/x?AWSAccessKeyId=local&Expires={int(time.time()) + 99}&Signature=x"
    assert error_of(httpx.get(url)) == (400, "InvalidRequest")


def test_download_link_allows_only_get(
    run: LocalRunner, upload: dict[str, Any], sender: Device, pair: Pair
) -> None:
    assert put(upload).status_code == 200
    link = sender.ask({"action": "sendfile", "chatId": pair.chat_id, "fileKey": upload["fileKey"]})[
        "fileUrl"
    ]
    for method in ("PUT", "DELETE", "POST", "HEAD"):
        assert httpx.request(method, link).status_code == 403, method
    assert httpx.get(link.replace("notes.txt?", "other.txt?")).status_code == 403
    assert error_of(httpx.put(link, content=b"x")) == (403, "SignatureDoesNotMatch")
    answer = httpx.get(link, headers={"Host": "localhost:" + str(httpx.URL(link).port)})
    assert error_of(answer) == (403, "SignatureDoesNotMatch")
    assert httpx.get(link).content == CONTENT
    assert run.process.poll() is None


def test_amz_header_that_is_not_signed_is_refused(upload: dict[str, Any]) -> None:
    answer = put(upload, {**upload["headers"], "x-amz-acl": "public-read"})
    assert error_of(answer) == (403, "AccessDenied")
    assert element(answer, "HeadersNotSigned") == "x-amz-acl"


def test_header_section_over_8_kb_is_refused(upload: dict[str, Any]) -> None:
    answer = put(upload, {**upload["headers"], "Cookie": "x" * 8192})
    assert error_of(answer) == (400, "RequestHeaderSectionTooLarge")
    assert put(upload, {**upload["headers"], "Cookie": "x" * 6000}).status_code == 200


def test_bucket_in_the_host_name_is_found(upload: dict[str, Any]) -> None:
    parts = urlsplit(upload["uploadUrl"])
    bucket, path = re.fullmatch("/([^/]+)(/.*)", parts.path).groups()  # type: ignore[union-attr]  # it matches
    host = f"{bucket}.localhost:{parts.port}"
    query = dict(parse_qsl(parts.query))
    signer = S3SigV4QueryAuth(
        Credentials("local", "local", query["X-Amz-Security-Token"]), "s3", "us-east-1"
    )
    request = AWSRequest("PUT", f"http://{host}{path}", headers=upload["headers"])
    signer.add_auth(request)
    target = urlsplit(str(request.url))
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 0)
    connection.request(
        "PUT", f"{target.path}?{target.query}", CONTENT, {**upload["headers"], "Host": host}
    )
    assert connection.getresponse().status == 200
    connection.close()
    assert error_of(put(upload)) == (412, "PreconditionFailed")


def test_start_says_that_lifecycle_rules_do_not_run(run: LocalRunner) -> None:
    (line,) = [line for line in run.lines if "lifecycle" in line]
    assert line.startswith("Not imitated: FilesBucket: its lifecycle rules do not run here")


# --- CORS -----------------------------------------------------------------------------------------


def preflight(url: str, **headers: str) -> httpx.Response:
    return httpx.options(
        url, headers={name.replace("_", "-"): each for name, each in headers.items()}
    )


def test_preflight_follows_the_rules_of_the_bucket(upload: dict[str, Any]) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access_Control_Request_Method": "PUT",
        "Access_Control_Request_Headers": "content-type,if-none-match,x-amz-tagging",
    }
    allowed = preflight(upload["uploadUrl"], **asked)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    for change in (
        {"Origin": "https://evil.example"},
        {"Access_Control_Request_Method": "DELETE"},
        {"Access_Control_Request_Headers": "authorization"},
    ):
        refused = preflight(upload["uploadUrl"], **(asked | change))
        assert error_of(refused) == (403, "AccessForbidden")
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_bucket_without_rules_refuses_every_preflight(run: LocalRunner) -> None:
    answer = preflight(
        f"{run.aws_endpoint}/another/x", Origin=ORIGIN, Access_Control_Request_Method="GET"
    )
    assert error_of(answer) == (403, "AccessForbidden")


def test_only_pages_of_allowed_origins_read_answers(upload: dict[str, Any]) -> None:
    stranger = put(upload, {**upload["headers"], "Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers
    refused = put(upload, {**upload["headers"], "Origin": ORIGIN})
    assert error_of(refused) == (412, "PreconditionFailed")
    assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert refused.headers["Access-Control-Expose-Headers"] == "Content-Disposition, ETag"


# --- calls that are no links ----------------------------------------------------------------------


def client_of(run: LocalRunner, service: Any, key: str, secret: str) -> Any:
    return boto3.client(
        service, "us-east-1", endpoint_url=run.aws_endpoint,
        aws_access_key_id=key, aws_secret_access_key=secret,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [
        ("test", "guess", "SignatureDoesNotMatch"),
        ("another", "test", "InvalidAccessKeyId"),
    ],
)
def test_call_with_a_wrong_signature_is_refused(
    run: LocalRunner, key: str, secret: str, code: str
) -> None:
    s3 = client_of(run, "s3", key, secret)
    with pytest.raises(ClientError) as refused:
        s3.list_buckets()
    assert refused.value.response["Error"]["Code"] == code
    s3.close()


def test_call_with_the_key_of_emulators_is_answered(run: LocalRunner) -> None:
    s3 = client_of(run, "s3", "test", "test")
    (bucket,) = s3.list_buckets()["Buckets"]
    s3.put_object(Bucket=bucket["Name"], Key="a b/ü", Body=b"x", Tagging="a=b")
    assert s3.get_object(Bucket=bucket["Name"], Key="a b/ü")["Body"].read() == b"x"
    s3.delete_object(Bucket=bucket["Name"], Key="a b/ü")
    s3.close()


@pytest.mark.parametrize("path", ["/", "/moto-bucket", "/moto-bucket/key"])
def test_call_without_a_signature_is_refused(run: LocalRunner, path: str) -> None:
    assert error_of(httpx.get(f"{run.aws_endpoint}{path}")) == (403, "AccessDenied")


def signed_scan(service: str = "dynamodb") -> dict[str, str]:
    scope = f"any/20260101/us-east-1/{service}/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
    }


def list_tables(run: LocalRunner, **changes: str) -> httpx.Response:
    headers = {name: each for name, each in {**signed_scan(), **changes}.items() if each}
    return httpx.post(run.aws_endpoint, headers=headers, content=b"{}")


def test_tables_are_out_of_reach_of_web_pages(run: LocalRunner) -> None:
    assert list_tables(run).status_code == 200
    for changes in (
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Authorization": ""},
    ):
        assert list_tables(run, **changes).status_code == 403, changes
    answer = httpx.options(
        run.aws_endpoint,
        headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"},
    )
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/data.json", "/%6doto-api/reset"])
@pytest.mark.parametrize("service", ["", "s3", "dynamodb"])
def test_control_api_of_moto_is_off(run: LocalRunner, path: str, service: str) -> None:
    headers = signed_scan(service) if service else {}
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"{run.aws_endpoint}{path}", headers=headers)
        assert answer.status_code == 404
    assert len(list_tables(run).json()["TableNames"]) > 1
