"""Read a template into a `Stack`: what runs here, and a notice for all that does not."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.errors import LocalError, Unresolvable
from local.template.apis import read_api
from local.template.intrinsics import Resolver
from local.template.lint import findings
from local.template.model import Function, Stack, Storage
from local.template.parameters import as_text
from local.template.resources import Names
from local.template.transform import LOCAL_BUCKET, to_cloudformation

# Kinds of which nothing needs to exist here: nothing that runs would notice.
_WITHOUT_EFFECT = (
    "AWS::ApiGatewayV2::", "AWS::CloudWatch::", "AWS::IAM::", "AWS::Lambda::", "AWS::Logs::",
    "AWS::S3::BucketPolicy", "AWS::Route53::", "AWS::CertificateManager::", "AWS::WAFv2::",
)  # fmt: skip
_STORAGE = {"AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName"}


@dataclass(slots=True)
class Template:
    """A template on its way to a stack: what resolves its resources, and the notices so far."""

    path: Path
    resolver: Resolver
    names: Names
    resources: Mapping[str, Mapping[str, Any]]
    notices: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the unresolved properties of the resources of a kind, by logical id."""
        return {
            logical_id: resource.get("Properties") or {}
            for logical_id, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def resolve(self, where: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Resolve a value that a run cannot do without.

        Raises:
            LocalError: If it cannot be known here.

        """
        try:
            return self.resolver.resolve(value)
        except Unresolvable as error:
            raise LocalError(f"{self.path}: {where}: {error}") from error


def load(
    path: Path, *, overrides: Mapping[str, str], region: str, api: str | None, scratch: Path
) -> Stack:
    """Read the template at `path`.

    Args:
        path: The template.
        overrides: Values of parameters, in place of their defaults.
        region: The region that the run pretends to be in.
        api: The logical id of the WebSocket API to run; `None` if there is only one.
        scratch: A folder for code that stands in the template itself.

    Raises:
        LocalError: If the template is broken, or nothing of it can run here.

    """
    try:
        return _load(path, overrides, region, api, scratch)
    except KeyError as error:
        raise LocalError(f"{path}: the property {error.args[0]} is missing somewhere") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise LocalError(f"{path}: a property is not what it should be: {error}") from error


def _load(
    path: Path, overrides: Mapping[str, str], region: str, api: str | None, scratch: Path
) -> Stack:
    document, values = to_cloudformation(path, overrides, region)
    names = Names(region)
    resolver = Resolver(document, values, names)
    try:
        resources = resolver.resources()
    except Unresolvable as error:
        raise LocalError(f"{path}: {error}") from error
    template = Template(path, resolver, names, resources)
    functions = dict(_functions(template, scratch))
    websocket_api = read_api(template, functions, api)
    storage = tuple(_storage(template))
    for logical_id, resource in resources.items():
        kind = resource["Type"]
        if kind not in _STORAGE and not kind.startswith(_WITHOUT_EFFECT):
            template.notices.append(f"{logical_id} ({kind}) does not exist here")
    warnings = findings(template, websocket_api, functions)
    return Stack(
        region, websocket_api, functions, storage, tuple(template.notices), tuple(warnings)
    )


def _storage(template: Template) -> list[Storage]:
    found = []
    for kind, name_property in _STORAGE.items():
        for logical_id, properties in template.of_kind(kind).items():
            resolved = template.resolve(logical_id, properties)
            name = template.names.ref(logical_id, kind, resolved)
            found.append(Storage(kind, name, {**resolved, name_property: name}))
    return found


def _functions(template: Template, scratch: Path) -> list[tuple[str, Function]]:
    found = []
    layers = _layers(template)
    retries = _retries(template)
    for logical_id, properties in template.of_kind("AWS::Lambda::Function").items():
        code = _code(template, logical_id, properties, scratch)
        runtime = str(template.resolve(logical_id, properties.get("Runtime", "")))
        if code is None:
            template.notices.append(
                f"{logical_id}: only code in a folder, or in the template, runs"
            )
            continue
        if not runtime.startswith("python"):
            template.notices.append(
                f"{logical_id}: runtime {runtime or 'of an image'} does not run"
            )
            continue
        name = template.names.ref(logical_id, "AWS::Lambda::Function", _named(template, properties))
        arn = template.names.function_arn(name)
        logging = template.resolve(logical_id, properties.get("LoggingConfig") or {})
        function = Function(
            name=name,
            arn=arn,
            handler=str(template.resolve(logical_id, properties["Handler"])),
            code=code,
            layers=_layers_of(template, logical_id, properties, layers),
            environment=tuple(_environment(template, logical_id, properties)),
            timeout=float(template.resolve(logical_id, properties.get("Timeout", 3))),
            memory=int(template.resolve(logical_id, properties.get("MemorySize", 128))),
            log_group=str(logging.get("LogGroup") or f"/aws/lambda/{name}"),
            log_format=str(logging.get("LogFormat", "Text")),
            log_level=str(logging.get("ApplicationLogLevel", "INFO")),
            retries=retries.get(name, 2),
        )
        found.append((name, function))
    return found


def _named(template: Template, properties: Mapping[str, Any]) -> dict[str, Any]:
    name = properties.get("FunctionName")
    return {"FunctionName": template.resolve("FunctionName", name)} if name else {}


def _code(
    template: Template, logical_id: str, properties: Mapping[str, Any], scratch: Path
) -> Path | None:
    code = template.resolve(logical_id, properties.get("Code") or {})
    if "ZipFile" in code:
        # A folder of its own for each text, so that an edit is seen as one.
        digest = hashlib.sha256(code["ZipFile"].encode()).hexdigest()
        folder = scratch / f"{logical_id}-{digest[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        # Code in the template becomes index.py:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-lambda-function-code.html
        (folder / "index.py").write_text(code["ZipFile"])
        return folder
    folder = template.path.parent / str(code.get("S3Key"))
    if code.get("S3Bucket") != LOCAL_BUCKET or folder.is_file():
        return None
    if not folder.is_dir():
        raise LocalError(f"{template.path}: {logical_id}: there is no folder {code['S3Key']}")
    return folder.resolve()


def _layers(template: Template) -> dict[str, Path]:
    found = {}
    for logical_id, properties in template.of_kind("AWS::Lambda::LayerVersion").items():
        content = template.resolve(logical_id, properties.get("Content") or {})
        if content.get("S3Bucket") == LOCAL_BUCKET:
            arn = template.resolve(logical_id, {"Ref": logical_id})
            found[arn] = (template.path.parent / content["S3Key"]).resolve()
    return found


def _layers_of(
    template: Template, logical_id: str, properties: Mapping[str, Any], layers: Mapping[str, Path]
) -> tuple[Path, ...]:
    found = []
    for layer in properties.get("Layers") or []:
        arn = template.resolve(logical_id, layer)
        if arn in layers:
            found.append(layers[arn])
        else:
            template.notices.append(
                f"{logical_id}: layer {arn} is not in the template; what it holds must be installed"
            )
    return tuple(found)


def _environment(
    template: Template, logical_id: str, properties: Mapping[str, Any]
) -> list[tuple[str, str]]:
    found = []
    variables = (properties.get("Environment") or {}).get("Variables") or {}
    for name, value in variables.items():
        try:
            resolved = template.resolver.resolve({name: value})
        except Unresolvable as error:
            template.notices.append(f"{logical_id}: variable {name} is not set: {error}")
            continue
        for text in map(as_text, resolved.values()):  # none, if it is AWS::NoValue
            if "{{resolve:" in text:
                template.notices.append(f"{logical_id}: variable {name} is not set: it is a secret")
            else:
                found.append((name, text))
    return found


def _retries(template: Template) -> dict[str, int]:
    found = {}
    for logical_id, properties in template.of_kind("AWS::Lambda::EventInvokeConfig").items():
        config = template.resolve(logical_id, properties)
        name = str(config["FunctionName"])
        found[name] = int(config.get("MaximumRetryAttempts", 2))
    return found
