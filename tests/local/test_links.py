"""The host and port in links to files, and what clients on other machines can do there."""

import http.client
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from moto.server import ThreadedMotoServer

from tests.local.test_command import fails_with
from tests.support.backend import ROOT
from tests.support.device import device
from tests.support.runner import LocalRunner, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.slow

TEMPLATE = ROOT / "template-python.yaml"
CONTENT = b"a picture"


def upload_link(run: LocalRunner, pair: Pair) -> dict[str, Any]:
    frame = {
        "action": "sendfile",
        "chatId": pair.chat_id,
        "fileName": "image.jpg",
        "contentType": "image/jpeg",
    }
    with device(run.url, userId=pair.first) as sender:
        upload = sender.ask(frame)
        assert upload["type"] == "upload", upload
        return upload


def send_file(run: LocalRunner) -> str:
    """Upload a file and send it; return the link to download it."""
    pair = Pair.new()
    upload = upload_link(run, pair)
    put = httpx.put(upload["uploadUrl"], headers=upload["headers"], content=CONTENT)
    assert put.status_code == 200, put.text
    frame = {"action": "sendmessage", "chatId": pair.chat_id, "fileKey": upload["fileKey"]}
    with (
        device(run.url, userId=pair.first) as sender,
        device(run.url, userId=pair.second) as recipient,
    ):
        assert sender.ask(frame)["type"] == "ack"
        link: str = recipient.receive()["fileUrl"]
    assert httpx.get(link).content == CONTENT
    return link


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_links_have_the_fixed_port() -> None:
    port = free_port()
    with local_runner("--aws-port", str(port)) as run:
        assert run.aws_endpoint == f"http://127.0.0.1:{port}"
        assert urlsplit(send_file(run)).netloc == f"127.0.0.1:{port}"


def test_aws_port_in_use_is_a_one_line_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        problem = f"port {port} is in use: choose another with --aws-port"
        fails_with(problem, "--template", TEMPLATE, "--port", "0", "--aws-port", str(port))


def test_localhost_as_an_endpoint_works_for_files() -> None:
    # The chat asks for `bucket.localhost`, which most systems cannot resolve.
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        _, port = server.get_host_and_port()
        with local_runner("--aws-endpoint", f"http://localhost:{port}") as run:
            assert urlsplit(send_file(run)).netloc == f"localhost:{port}"
    finally:
        server.stop()


def status_from_elsewhere(method: str, url: str, headers: dict[str, str], body: bytes) -> int:
    """Send a request from another address than the one that it goes to; return the status."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(
        target.hostname or "", target.port or 80, source_address=("127.0.0.9", 0)
    )
    connection.request(method, f"{target.path}?{target.query}", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_links_name_the_host_and_serve_other_machines_alone() -> None:
    # 127.0.0.2 stands for the address in a network, and 127.0.0.9 for a machine there.
    with local_runner("--host", "127.0.0.2") as run:
        link = send_file(run)
        assert urlsplit(link).hostname == "127.0.0.2"
        port = urlsplit(link).port
        assert status_from_elsewhere("GET", link, {}, b"") == 200
        upload = upload_link(run, Pair.new())
        headers = upload["headers"]
        assert status_from_elsewhere("PUT", upload["uploadUrl"], headers, CONTENT) == 200
        scope = "test/20260101/us-east-1/dynamodb/aws4_request"
        scan = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=a, Signature=b",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.ListTables",
        }
        tables = f"http://127.0.0.2:{port}/"
        assert httpx.post(tables, headers=scan, content=b"{}").status_code == 200
        assert status_from_elsewhere("POST", tables, scan, b"{}") == 403
        # What is allowed from one name is signed for that name.
        assert httpx.get(link.replace("127.0.0.2", "127.0.0.1")).status_code == 403
