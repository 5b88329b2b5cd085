"""Transform a SAM template to plain CloudFormation, with the code that AWS runs."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

from local.errors import LocalError
from local.template.parameters import parameter_values
from local.template.reading import one_line, read

__all__ = ["LOCAL_BUCKET", "read", "to_cloudformation", "transform_document"]

# The transform refuses folders and files, so it gets `s3://local/<path>` for each.
LOCAL_BUCKET = "local"

# It warns that its statistics are not collected.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)

_FUNCTION = "AWS::Serverless::Function"
_PATH_PROPERTIES = {
    _FUNCTION: "CodeUri",
    "AWS::Serverless::Api": "DefinitionUri",
    "AWS::Serverless::HttpApi": "DefinitionUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
    "AWS::Lambda::Function": "Code",
    "AWS::Lambda::LayerVersion": "Content",
}


class _NoManagedPolicies(ManagedPolicyLoader):
    """A loader without managed policies; the transform's loader asks AWS for them."""

    def __init__(self) -> None:
        """Make a loader without a client of IAM."""

    def load(self) -> dict[str, str]:
        return {}


def to_cloudformation(
    path: Path, overrides: Mapping[str, str], region: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the transformed template and the values of its parameters.

    Raises:
        LocalError: If the template is broken.

    """
    return transform_document(path, read(path), overrides, region)


def transform_document(
    path: Path, document: dict[str, Any], overrides: Mapping[str, str], region: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the transformed template and the values of its parameters.

    Args:
        path: The file of the template.
        document: The template before the transform, which changes it.
        overrides: Values of parameters, in place of their defaults.
        region: The region that the run pretends to be in.

    Raises:
        LocalError: If the template is broken.

    """
    values = parameter_values(document.get("Parameters") or {}, overrides)
    _write_applications_as_stacks(document)
    _set_default_code(document)
    _point_code_to_local_bucket(document, path.parent)
    if "AWS::Serverless-2016-10-31" not in _as_list(document.get("Transform")):
        return document, values
    # The transform reads the region from the environment, even if it gets one as an argument.
    os.environ.setdefault("AWS_DEFAULT_REGION", region)
    pseudo = {"AWS::Region": region, "AWS::Partition": "aws"}
    try:
        transformed = transform(document, {**values, **pseudo}, _NoManagedPolicies())
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes) or error.message
        raise LocalError(f"{path}: {one_line(causes)}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The transform expects that others have checked the types of what it reads.
        raise LocalError(f"{path}: SAM's transform cannot read it: {one_line(error)}") from error
    return transformed, values


def _write_applications_as_stacks(document: dict[str, Any]) -> None:
    """Write nested applications as the stacks that the transform makes of them.

    The transform asks AWS for those of the Serverless Application Repository.
    """
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Application":
            properties = resource.get("Properties") or {}
            resource["Type"] = "AWS::CloudFormation::Stack"
            resource["Properties"] = {
                "TemplateURL": properties.get("Location"),
                "Parameters": properties.get("Parameters") or {},
            }


def _set_default_code(document: dict[str, Any]) -> None:
    """Give functions without code the template's folder, as the SAM CLI does.

    https://github.com/aws/aws-sam-cli/blob/develop/samcli/lib/providers/sam_function_provider.py
    """
    defaults = _function_defaults(document)
    for resource in document["Resources"].values():
        if resource["Type"] == _FUNCTION:
            own = resource.setdefault("Properties", None) or {}
            if {**defaults, **own}.get("PackageType") != "Image" and not (
                {"CodeUri", "InlineCode", "ImageUri"} & {*defaults, *own}
            ):
                resource["Properties"] = {**own, "CodeUri": "."}


def _function_defaults(document: dict[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = (document.get("Globals") or {}).get("Function") or {}
    return defaults


def _point_code_to_local_bucket(document: dict[str, Any], folder: Path) -> None:
    defaults = _function_defaults(document)
    for where, kind, metadata in [(defaults, _FUNCTION, {})] + [
        (resource.get("Properties") or {}, resource["Type"], resource.get("Metadata") or {})
        for resource in document["Resources"].values()
    ]:
        key = _PATH_PROPERTIES.get(kind, "")
        location = where.get(key)
        if not isinstance(location, str) or location.startswith("s3://"):
            continue
        is_built = "BuildMethod" not in metadata or (folder / location / "python").is_dir()
        if kind.endswith("::LayerVersion") and is_built:
            # Python finds a layer's `python/` folder; `sam build` makes one of a layer it builds:
            # https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html
            location = f"{location}/python"
        if kind.startswith("AWS::Lambda::"):
            where[key] = {"S3Bucket": LOCAL_BUCKET, "S3Key": location}
        else:
            where[key] = f"s3://{LOCAL_BUCKET}/{location}"


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
