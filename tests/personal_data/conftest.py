"""Fixtures of the operator's tool."""

import pytest

from tests.personal_data.tool import Tool
from tests.support.backend import Backend


@pytest.fixture
def tool(backend: Backend) -> Tool:
    return Tool.of(backend)
