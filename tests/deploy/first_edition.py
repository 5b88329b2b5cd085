"""The first edition of this project, as it could be deployed until 2026-11-25.

`first_edition.tar.xz` holds the template and the code of commit 5467d9b, which `git archive` wrote:
the handlers, and `shared/chat`. What they import is the same as today.
"""

import shutil
import tarfile
from pathlib import Path

from tests.deploy.emulator import Sam

_ARCHIVE = Path(__file__).with_name("first_edition.tar.xz")
_FUNCTIONS = {
    "on_connect": "OnConnectFunction",
    "on_disconnect": "OnDisconnectFunction",
    "send_message": "SendMessageFunction",
    "send_file": "SendFileFunction",
}


def first_edition(sam: Sam, folder: Path) -> Path:
    """Put the first edition's code in the place of today's, as `sam build` lays it out.

    Returns:
        Its template, which `sam deploy` takes.
    """
    source, built = folder / "source", folder / "built"
    with tarfile.open(_ARCHIVE) as archive:
        archive.extractall(source, filter="data")
    shutil.copytree(sam.built_template.parent, built)
    chat = built / "ChatLayer" / "python" / "chat"
    shutil.rmtree(chat)
    shutil.copytree(source / "shared" / "chat", chat)
    template = (source / "template-python.yaml").read_text()
    places = {"ContentUri: shared/": "ContentUri: ChatLayer"}
    for name, function in _FUNCTIONS.items():
        shutil.copy(source / name / "lambda_function.py", built / function)
        places[f"CodeUri: {name}/"] = f"CodeUri: {function}"
    # The first edition has no parameters for these two.
    places["arm64"] = sam.parameters["Architecture"]
    places["https://${ChatApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/prod"] = (
        f"{sam.parameters['PushEndpoint']}/${{ChatApi}}/prod"
    )
    for old, new in places.items():
        assert old in template
        template = template.replace(old, new)
    # Over that of today.
    (built / "template.yaml").write_text(template)
    return built / "template.yaml"
