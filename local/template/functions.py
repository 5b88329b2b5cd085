"""Read the Lambda functions of a template: code, layers, environment, retries."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError, Unknown, Unresolvable
from local.template.model import Function
from local.template.properties import Properties, as_text
from local.template.template import Template
from local.template.transform import LOCAL_BUCKET

# How often Lambda retries a failed asynchronous invocation:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
_MAX_RETRIES = 2


@dataclass(frozen=True, slots=True)
class FoundFunctions:
    """The functions of a template, by name.

    `running` are those that run here; `warnings` are lines about others, which AWS would not take.
    """

    running: Mapping[str, Function]
    warnings: tuple[str, ...]


class _NotImitated(LocalError):
    """AWS runs this function, and the local runner does not."""


class _NoFolder(LocalError):
    """The folder of a function does not exist."""


def read_functions(template: Template, scratch: Path) -> FoundFunctions:
    """Return the functions of a template; leave a notice for each that does not run here.

    Args:
        template: The template.
        scratch: A folder for code that is written in the template itself.

    Raises:
        LocalError: If a property of a function is missing or wrong.

    """
    running: dict[str, Function] = {}
    warnings: list[str] = []
    layers = _layer_folders(template)
    max_retries = _max_retries(template)
    for logical_id, properties in template.of_kind("AWS::Lambda::Function").items():
        name = template.ref(logical_id)
        retries = max_retries.get(name, _MAX_RETRIES)
        try:
            running[name] = _function(template, logical_id, properties, layers, retries, scratch)
        except _NotImitated as error:
            template.notices.append(str(error))
        except Unknown:  # another notice names the property
            template.notices.append(f"{logical_id}: the function does not run here")
        except _NoFolder as error:
            warnings.append(str(error))
    return FoundFunctions(running, tuple(warnings))


def _function(
    template: Template,
    logical_id: str,
    properties: Properties,
    layers: Mapping[str, Path],
    max_retries: int,
    scratch: Path,
) -> Function:
    """Return a function.

    Raises:
        LocalError: If it does not run here, or a property is missing or wrong.

    """
    if properties.text("PackageType", "Zip") == "Image":
        raise _NotImitated(f"{logical_id}: a function in an image does not run")
    runtime = properties.text("Runtime", "")
    if not runtime.startswith("python"):
        raise _NotImitated(f"{logical_id}: runtime {runtime or 'of an image'} does not run")
    code = _code(template, logical_id, properties.mapping("Code"), scratch)
    name = template.ref(logical_id)
    logging = properties.mapping("LoggingConfig")
    return Function(
        name=name,
        arn=template.names.function_arn(name),
        handler=properties.text("Handler"),
        code=code,
        layers=_layers(template, logical_id, properties.texts("Layers"), layers),
        environment=_environment(template, logical_id, properties),
        timeout_s=properties.number("Timeout", 3),
        memory_mib=int(properties.number("MemorySize", 128)),
        log_group=logging.text("LogGroup", f"/aws/lambda/{name}"),
        log_format=logging.text("LogFormat", "Text"),
        log_level=logging.text("ApplicationLogLevel", "INFO"),
        max_retries=max_retries,
    )


def _code(template: Template, logical_id: str, code: Properties, scratch: Path) -> Path:
    text = code.optional_text("ZipFile")
    if text is not None:
        # Another folder for each text, so that an edit is seen as one.
        digest = hashlib.sha256(text.encode()).hexdigest()
        folder = scratch / f"{logical_id}-{digest[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        # Code in the template becomes index.py:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-lambda-function-code.html
        (folder / "index.py").write_text(text)
        return folder
    if code.optional_text("S3Bucket") != LOCAL_BUCKET:
        raise _NotImitated(f"{logical_id}: only code in a folder, or in the template, runs")
    key = code.text("S3Key")
    folder = template.path.parent / key
    if folder.is_file():
        raise _NotImitated(f"{logical_id}: code in an archive ({key}) does not run")
    if not folder.is_dir():
        raise _NoFolder(f"{logical_id}: there is no folder {key}")
    return folder.resolve()


def _layer_folders(template: Template) -> dict[str, Path]:
    """Return the folder of each layer of the template, by the layer's ARN."""
    folders = {}
    for logical_id, properties in template.of_kind("AWS::Lambda::LayerVersion").items():
        content = properties.mapping("Content")
        if content.optional_text("S3Bucket") == LOCAL_BUCKET:
            folder = template.path.parent / content.text("S3Key")
            folders[template.ref(logical_id)] = folder.resolve()
    return folders


def _layers(
    template: Template, logical_id: str, arns: list[str], folders: Mapping[str, Path]
) -> tuple[Path, ...]:
    template.notices.extend(
        f"{logical_id}: layer {arn} is not in the template; what it holds must be installed"
        for arn in arns
        if arn not in folders
    )
    return tuple(folders[arn] for arn in arns if arn in folders)


def _environment(
    template: Template, logical_id: str, properties: Properties
) -> tuple[tuple[str, str], ...]:
    variables = properties.mapping("Environment").mapping("Variables")
    found = []
    for name in variables:
        try:
            resolved = template.resolver.resolve([variables.values[name]])
        except Unknown as error:
            resolved = [str(error)]
            template.notices.append(f"{logical_id}: variable {name}: {error}")
        except Unresolvable as error:
            raise LocalError(f"{logical_id}: variable {name}: {error}") from error
        found += [(name, as_text(text)) for text in resolved]  # none, if it is AWS::NoValue
    return tuple(found)


def _max_retries(template: Template) -> dict[str, int]:
    """Return how often asynchronous invocations are retried, by the function's name."""
    return {
        config.text("FunctionName"): int(config.number("MaximumRetryAttempts", _MAX_RETRIES))
        for config in template.of_kind("AWS::Lambda::EventInvokeConfig").values()
    }
