"""jobs.toml: from text to frozen values, or every mistake at once."""

from refresher.config.schema import json_schema
from refresher.config.settings import load

__all__ = ["json_schema", "load"]
