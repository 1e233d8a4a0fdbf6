import json

import pytest

from cctuning.pretrained.kinds import ModelError, ModelKind, kind_of


@pytest.mark.parametrize(
    ("files", "run", "exported", "adapter"),
    [
        ({}, False, False, False),
        ({"config.json": {"model_type": "llama"}}, False, False, False),
        ({"config.json": {}, "connection/connection.json": {}}, True, False, False),
        ({"config.json": {}, "connection.json": {}}, True, False, False),  # of an older version
        ({"connection/connection.json": {}, "adapter_config.json": {}}, True, False, True),
        ({"adapter_config.json": {}}, False, False, True),
        ({"config.json": {"cctuning": {}}}, False, True, False),
    ],
)
def test_kinds(tmp_path, files, run, exported, adapter):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    kind = kind_of(tmp_path)
    assert kind == ModelKind(run=run, exported=exported, adapter=adapter)
    assert kind.connected == (run or exported)


def test_a_broken_configuration_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json"):
        kind_of(tmp_path)
