"""Parameters, secrets and user pools of a template exist, and functions read them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from local.credentials import Credentials
from local.storage.create import create
from local.template.model import Storage
from tests.support.runner import LocalRunner, local_runner

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).with_name("templates") / "accounts"


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRunner]:
    with local_runner(template=FOLDER / "template.yaml", expects_refusals=True) as run:
        yield run


@pytest.fixture
def client(run: LocalRunner) -> Iterator[ClientConnection]:
    with connect(run.url) as client:
        yield client


def ask(client: ClientConnection, service: str, call: str, **arguments: Any) -> Any:
    """Let the function call AWS; return the answer, or the error."""
    body = {"action": "call", "service": service, "call": call, "arguments": arguments}
    client.send(json.dumps(body))
    return json.loads(client.recv(timeout=30))


def variables(client: ClientConnection) -> dict[str, str]:
    client.send('{"action": "variables"}')
    found: dict[str, str] = json.loads(client.recv(timeout=30))
    return found


def test_functions_get_the_ids_of_what_exists(client: ClientConnection) -> None:
    found = variables(client)
    pool = found["POOL"]
    region, _, random = pool.partition("_")
    assert (region, len(random)) == ("us-east-1", 9)
    assert found["POOL_ARN"] == f"arn:aws:cognito-idp:us-east-1:123456789012:userpool/{pool}"
    assert found["ISSUER"] == f"https://cognito-idp.us-east-1.amazonaws.com/{pool}"
    assert len(found["CLIENT"]) == 26
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:local-Secret-"
    assert found["SECRET"].startswith(secret)
    assert found["GREETING"] == "/chat/greeting"
    assert found["VALUE"] == found["STARTED_WITH"] == f"hello {pool}"


def test_function_reads_a_parameter(client: ClientConnection) -> None:
    found = ask(client, "ssm", "get_parameters_by_path", Path="/chat/")
    assert [each["Name"] for each in found["Parameters"]] == ["/chat/greeting"]


def test_function_reads_a_generated_secret(client: ClientConnection) -> None:
    for name in (variables(client)["SECRET"], "local-Secret"):
        found = ask(client, "secretsmanager", "get_secret_value", SecretId=name)
        secret = json.loads(found["SecretString"])
        assert secret["user"] == "admin"
        assert len(secret["password"]) == 40
        assert secret["password"].isalnum()


def test_variables_have_the_values_of_dynamic_references(client: ClientConnection) -> None:
    found = variables(client)
    answer = ask(client, "secretsmanager", "get_secret_value", SecretId=found["SECRET"])
    assert found["WHOLE"] == answer["SecretString"]
    assert found["PASSWORD"] == f"by ARN: {json.loads(answer['SecretString'])['password']}"
    assert found["STAGED"] == "admin"
    assert found["STORED"] == f"{found['VALUE']} {found['VALUE']}"
    assert found["COPIED"] == f"{found['VALUE']}!"
    assert (
        ask(client, "ssm", "get_parameter", Name="/copy")["Parameter"]["Value"] == found["COPIED"]
    )


def test_function_lists_the_users_of_a_pool(client: ClientConnection) -> None:
    pool = variables(client)["POOL"]
    pools = ask(client, "cognito-idp", "list_user_pools", MaxResults=10)["UserPools"]
    assert [(each["Id"], each["Name"]) for each in pools] == [(pool, "people")]
    (user,) = ask(client, "cognito-idp", "list_users", UserPoolId=pool)["Users"]
    assert user["Username"] == "ann"
    groups = ask(
        client, "cognito-idp", "admin_list_groups_for_user", UserPoolId=pool, Username="ann"
    )
    assert [each["GroupName"] for each in groups["Groups"]] == ["moderators"]


def test_user_signs_in_and_the_function_knows_the_token(client: ClientConnection) -> None:
    ids = variables(client)
    password = {"Username": "ann", "Password": "Pass-word-1", "Permanent": True}
    pool = {"UserPoolId": ids["POOL"]}
    ask(client, "cognito-idp", "admin_set_user_password", **pool, **password)
    signed_in = ask(
        client, "cognito-idp", "admin_initiate_auth", **pool,
        ClientId=ids["CLIENT"], AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": "Pass-word-1"},
    )  # fmt: skip
    token = signed_in["AuthenticationResult"]["AccessToken"]
    # The keys to verify it with are at the issuer's address, for each client of HTTP.
    client.send('{"action": "keys"}')
    header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    assert json.loads(client.recv(timeout=30)) == [[header["kid"]]] * 5
    # This call is not signed.
    assert ask(client, "cognito-idp", "get_user", AccessToken=token)["Username"] == "ann"


@pytest.mark.parametrize(
    ("service", "call", "arguments", "refused"),
    [
        (
            "ssm", "get_parameter", {"Name": "local-Hidden"},
            "ssm:GetParameter arn:aws:ssm:us-east-1:123456789012:parameter/local-Hidden",
        ),
        (
            "ssm", "put_parameter", {"Name": "/chat/greeting", "Value": "x"},
            "ssm:PutParameter arn:aws:ssm:us-east-1:123456789012:parameter/chat/greeting",
        ),
        (
            "secretsmanager", "put_secret_value", {"SecretId": "other", "SecretString": "x"},
            ("secretsmanager:PutSecretValue"
            " arn:aws:secretsmanager:us-east-1:123456789012:secret:other-"),
        ),
        (
            "cognito-idp", "delete_user_pool", {"UserPoolId": "us-east-1_other"},
            ("cognito-idp:DeleteUserPool"
            " arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_other"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)  # fmt: skip
def test_call_that_the_role_does_not_allow_is_refused(
    run: LocalRunner,
    client: ClientConnection,
    service: str,
    call: str,
    arguments: dict[str, Any],
    refused: str,
) -> None:
    found = ask(client, service, call, **arguments)
    assert (found["Status"], found["Code"]) == (400, "AccessDeniedException")
    run.wait_for(f"Warning: local-Ask may not {refused}")


USER = "AWSCognitoIdentityProviderService.GetUser"
ISSUER = "cognito-idp.us-east-1.amazonaws.com"
KEYS = "/us-east-1_a/.well-known/jwks.json"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/", {"X-Amz-Target": USER}, 400),  # Cognito itself refuses the token
        ("POST", "/", {"X-Amz-Target": USER, "Origin": "http://a.example"}, 403),
        ("POST", "/", {"X-Amz-Target": USER.replace("GetUser", "ListUsers")}, 403),
        ("POST", "/", {"X-Amz-Target": "DynamoDB_20120810.GetUser"}, 403),
        ("GET", KEYS, {"Host": ISSUER}, 200),
        ("GET", KEYS, {"Host": ISSUER, "Origin": "http://a.example"}, 403),
        ("GET", KEYS, {"Host": f"{ISSUER}.a.example"}, 403),
        ("GET", KEYS, {}, 403),
        ("GET", "/", {"Host": ISSUER}, 403),
        ("GET", "/moto-api/data.json", {"Host": ISSUER}, 403),
    ],
)
def test_request_without_a_signature_gets_no_further_than_a_user_may(
    run: LocalRunner, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.1", **headers}
    content = '{"AccessToken": "wrong"}' if method == "POST" else None
    answer = httpx.request(method, f"{run.aws_endpoint}{path}", headers=headers, content=content)
    assert answer.status_code == status


def test_nothing_of_the_template_is_named(run: LocalRunner) -> None:
    assert not [line for line in run.lines if line.startswith("Not imitated: ")]


def test_edit_of_the_template_keeps_the_pool_and_its_users(tmp_path: Path) -> None:
    for path in FOLDER.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_text(path.read_text())
    template = tmp_path / "template.yaml"
    with local_runner(template=template, reload=True) as run, connect(run.url) as client:
        before = variables(client)
        template.write_text(template.read_text().replace("Timeout: 20", "Timeout: 21"))
        run.wait_for("Reloaded: template.yaml")
        assert variables(client) == before
        pools = ask(client, "cognito-idp", "list_user_pools", MaxResults=10)["UserPools"]
        assert [each["Id"] for each in pools] == [before["POOL"]]
        clients = ask(client, "cognito-idp", "list_users", UserPoolId=before["POOL"])["Users"]
        assert [each["Username"] for each in clients] == ["ann"]
    assert not [line for line in run.lines if "cannot create" in line]


def test_pool_does_not_exist_at_another_endpoint() -> None:
    pool = Storage("AWS::Cognito::UserPool", "people", {})
    lines = create([pool], "http://127.0.0.1:1", "us-east-1", Credentials("test", "test"))
    assert lines == ["people: AWS::Cognito::UserPool exists in the embedded AWS alone"]
