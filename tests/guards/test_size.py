"""No module grows beyond what can be read at a sitting."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 250  # lines


def test_no_module_is_too_long() -> None:
    lengths = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines())
        for module in (ROOT / "refresher").rglob("*.py")
    }
    assert len(lengths) > 20
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
