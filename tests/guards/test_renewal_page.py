"""The table of docs/explanation/renewal.md is what core/due.py computes."""

import re
from datetime import timedelta
from pathlib import Path

from refresher.core import due

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "renewal.md"


def test_its_table():
    rows = [
        [float(cell) for cell in row]
        for row in re.findall(r"^\| ([\d.]+)" + r" \| ([\d.]+)" * 3, PAGE.read_text(), re.MULTILINE)
    ]
    assert len(rows) == 7
    for seconds, *shown in rows:
        lifetime = timedelta(seconds=seconds)
        leads = [due.lead(lifetime, None, part=part) for part in (1.0, 0.0)]
        computed = [due.promised(lifetime, None), *(lifetime - lead for lead in leads)]
        assert shown == [span.total_seconds() for span in computed]
