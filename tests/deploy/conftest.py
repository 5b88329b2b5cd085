"""A deployment to an emulator of AWS, in the place of an account."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.emulator import STACK, Deployment, Emulator, Sam, device, emulator
from tests.support.backend import ROOT
from tests.support.users import Pair

MAX_CONNECTIONS = 3


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with (
        emulator(tmp_path_factory.mktemp("emulator")) as running,
        pytest.MonkeyPatch.context() as p,
    ):
        # For WebSockets and for the links of files.
        p.setenv("SSL_CERT_FILE", str(running.certificate))
        p.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.fixture(scope="session")
def sam(aws: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """The SAM CLI of a deployer that has only the documented policy, after `sam build`."""
    iam = aws.client("iam")
    iam.create_user(UserName="deployer")
    policy = (ROOT / "docs" / "deployer-policy.json").read_text()
    iam.put_user_policy(UserName="deployer", PolicyName="deploy", PolicyDocument=policy)
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    folder: Path = tmp_path_factory.mktemp("deployed")
    sam = Sam(aws, folder, (key["AccessKeyId"], key["SecretAccessKey"]))
    sam.build()
    return sam


@pytest.fixture(scope="session")
def deployment(sam: Sam) -> Deployment:
    """The stack that the README deploys, with a connection limit that a test can reach.

    Its functions are warm, because `make smoke` waits for a cold start on AWS, not here.
    """
    limit = str(MAX_CONNECTIONS)
    deployed = sam.deploy(STACK, MaxConnectionsPerUser=limit, Monitoring="true")
    pair = Pair.new()
    with device(deployed.url, userId=pair.first) as client:
        client.say(pair.chat_id, "warm")
        client.ask({"action": "sendfile", "chatId": pair.chat_id})
    return deployed


@pytest.fixture
def template(sam: Sam, deployment: Deployment) -> str:
    """The template of that stack."""
    return sam.uploaded_template(deployment.stack)


@pytest.fixture(autouse=True)
def _roles_allow_every_call(aws: Emulator) -> Iterator[None]:
    """Fail a test during which a role, or the deployer's policy, did not allow a call."""
    yield
    assert not aws.denied()


@pytest.fixture
def url(deployment: Deployment) -> str:
    return deployment.url


@pytest.fixture
def pair() -> Pair:
    return Pair.new()
