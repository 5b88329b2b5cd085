"""The operator's tool, on what clients of a running backend wrote."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from local.credentials import EMBEDDED
from local.template.model import Stack
from personal_data.__main__ import main
from tests.support.blocking_client import BlockingClient, connect
from tests.support.runner import Target
from tests.support.stack import bucket_of
from tests.support.users import Pair

MINUTES_LATER_NS = 120 * 10**9
