"""Give values of a template the types that an AWS service takes.

CloudFormation takes `"5"`, a `Ref` of a number parameter, and `"true"` where a service takes a
number or a boolean. It also has properties that the service's operation does not have.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, Shape, StructureShape

_SCALARS: dict[str, Callable[[Any], Any]] = {
    "boolean": lambda value: str(value).lower() == "true",
    "double": float,
    "float": float,
    "integer": int,
    "long": int,
    "string": lambda value: str(value).lower() if isinstance(value, bool) else str(value),
}


def coerced(value: Any, shape: "Shape") -> Any:
    """Return a value in the types of a shape of botocore, without what the shape does not have.

    A value that cannot be converted stays as it is: botocore then says what is wrong.
    """
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping):
        members = cast("StructureShape", shape).members
        return {name: coerced(value[name], members[name]) for name in value if name in members}
    if kind == "list" and isinstance(value, list):
        member = cast("ListShape", shape).member
        return [coerced(item, member) for item in value]
    if kind == "map" and isinstance(value, Mapping):
        item_shape = cast("MapShape", shape).value
        return {str(name): coerced(item, item_shape) for name, item in value.items()}
    if kind in _SCALARS and isinstance(value, str | int | float):
        try:
            return _SCALARS[kind](value)
        except ValueError:
            return value
    return value
