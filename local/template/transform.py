"""Transform a SAM template to plain CloudFormation, with the code that AWS runs."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from local.errors import LocalError
from local.template.parameters import parameter_values
from local.template.properties import Json, Properties, as_text

# The transform refuses folders as code, so it gets `s3://local/<path>` for each.
LOCAL_BUCKET = "local"

# It warns that its statistics are not collected.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)

_CODE_PROPERTIES = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Lambda::Function": "Code",
    "AWS::Lambda::LayerVersion": "Content",
}


class _NoManagedPolicies(ManagedPolicyLoader):
    """A loader without managed policies; the transform's loader asks AWS for them."""

    def __init__(self) -> None:
        """Make a loader without a client of IAM."""

    def load(self) -> dict[str, str]:
        return {}


def read(path: Path) -> dict[str, Any]:
    """Return a template before the transform.

    Raises:
        LocalError: If the file cannot be read, or is not a template.

    """
    try:
        document = _with_text_keys(yaml_parse(path.read_text()))  # type: ignore[no-untyped-call]  # the library has no types
    except OSError as error:
        raise LocalError(f"cannot read {path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LocalError(f"{path}, line {line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise LocalError(f"{path} is not valid YAML: {_one_line(error)}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise LocalError(f"{path} has no Resources: it is no CloudFormation template")
    for logical_id, resource in document["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise LocalError(f"{path}: resource {logical_id} has no Type")
        for name in ("Properties", "Metadata"):
            Properties(f"{path}: {logical_id}", resource).mapping(name)
    for name in ("Parameters", "Conditions", "Mappings", "Globals"):
        section = Properties(str(path), document).mapping(name)
        for each in section if name in {"Parameters", "Globals"} else ():
            section.mapping(each)
    return document


def to_cloudformation(
    path: Path, overrides: Mapping[str, str], region: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the transformed template and the values of its parameters.

    Raises:
        LocalError: If the template is broken.

    """
    document = read(path)
    values = parameter_values(document.get("Parameters") or {}, overrides)
    _point_code_to_local_bucket(document)
    if "AWS::Serverless-2016-10-31" not in _as_list(document.get("Transform")):
        return document, values
    # The transform reads the region from the environment, even if it gets one as an argument.
    os.environ.setdefault("AWS_DEFAULT_REGION", region)
    pseudo = {"AWS::Region": region, "AWS::Partition": "aws"}
    try:
        transformed = transform(document, {**values, **pseudo}, _NoManagedPolicies())
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes) or error.message
        raise LocalError(f"{path}: {_one_line(causes)}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The transform expects that others have checked the types of what it reads.
        raise LocalError(f"{path}: SAM's transform cannot read it: {_one_line(error)}") from error
    return transformed, values


def _with_text_keys(value: Json) -> Json:
    """Return a value of YAML with all keys as text, as in JSON: a route may be called 7."""
    if isinstance(value, dict):
        return {as_text(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value


def _point_code_to_local_bucket(document: dict[str, Any]) -> None:
    defaults = (document.get("Globals") or {}).get("Function") or {}
    for where, kind, metadata in [(defaults, "AWS::Serverless::Function", {})] + [
        (resource.get("Properties") or {}, resource["Type"], resource.get("Metadata") or {})
        for resource in document["Resources"].values()
    ]:
        key = _CODE_PROPERTIES.get(kind, "")
        location = where.get(key)
        if not isinstance(location, str) or location.startswith("s3://"):
            continue
        if kind.endswith("::LayerVersion") and "BuildMethod" not in metadata:
            # Python finds a layer's `python/` folder; `sam build` makes one of a layer it builds:
            # https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html
            location = f"{location}/python"
        if kind.startswith("AWS::Lambda::"):
            where[key] = {"S3Bucket": LOCAL_BUCKET, "S3Key": location}
        else:
            where[key] = f"s3://{LOCAL_BUCKET}/{location}"


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
