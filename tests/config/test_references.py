import pytest

from refresher.config.references import reference
from refresher.config.words import BadValueError
from refresher.core.model import Reference


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("vault:secret/clients/crm#id", Reference(kind="vault", target="secret/clients/crm", field="id")),
        ("vault:eu:kv/crm#a.b", Reference(kind="vault", cluster="eu", target="kv/crm", field="a.b")),
        ("file:/etc/refresher/crm.secret", Reference(kind="file", target="/etc/refresher/crm.secret")),
        ("credential:refresher.vault", Reference(kind="credential", target="refresher.vault")),
        ("env:CRM_SECRET", Reference(kind="env", target="CRM_SECRET")),
    ],
)
def test_reference(text, value):
    assert reference(text) == value
    assert str(value) == text


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("hunter2", "in the clear"),
        ("", "in the clear"),
        ("env", "in the clear"),
        ("file", "in the clear"),
        ("http://x", "in the clear"),
        ("Vault:secret/a#b", "in the clear"),
        (" file:/x", "in the clear"),
        ("s.ecret:with:colons", "in the clear"),
        (12345, "reference"),
        ({"file": "/x"}, "reference"),
        ("vault:secret/crm", "field is missing"),
        ("vault:secret/crm#", "field is missing"),
        ("vault:secret/crm#a#b", "field is missing"),
        ("vault:secret/crm#a b", "field is missing"),
        ("vault:crm#field", "begins with the mount"),
        ("vault:secret/../sys#x", "a part of it"),
        ("vault:/secret/crm#x", "a part of it"),
        ("vault::secret/crm#x", "a part of it"),
        ("vault:eu:secret/crm:x#f", "a part of it"),
        ("vault:e/u:secret/crm#f", "a part of it"),
        ("vault:#x", "a part of it"),
        ("file:relative", "absolute"),
        ("file:", "absolute"),
        ("file:/etc/../shadow", "absolute"),
        ("file:/etc/x\n", "absolute"),
        ("credential:", "systemd"),
        ("credential:../x", "systemd"),
        ("credential:a/b", "systemd"),
        ("env:", "variable"),
        ("env:1A", "variable"),
        ("env:A-B", "variable"),
        ("env:A\n", "variable"),
    ],
)
def test_no_reference(value, why):
    with pytest.raises(BadValueError, match=why):
        reference(value)
