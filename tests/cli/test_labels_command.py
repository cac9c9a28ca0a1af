"""`monitor labels held | release | reject`, as an operator types them."""

from __future__ import annotations

import json

from tests.app.test_label_incident import SETTINGS, deliver
from tests.support.project import Project


def test_an_operator_sees_what_is_held_and_decides(tmp_path, monitor):
    project = Project.create(tmp_path / "project", changes={**SETTINGS, "retrain": {"mode": "off"}})
    for k in range(7):
        deliver(project, wrong=k in (4, 5))

    def labels(*words: str):
        return monitor("-c", project.config, "labels", *words)

    assert monitor("-c", project.config, "once").code == 0
    assert monitor("-c", project.config, "status").out.count("are they right? `monitor labels held tiny`") == 1
    shown = labels("held")
    assert shown.code == 0
    assert "batch_004" in shown.out
    assert "the inputs lie still" in shown.out
    assert [d["batch"] for d in json.loads(labels("held", "--json").out)] == ["batch_004", "batch_005"]
    assert labels("release", "tiny", "batch_000").code == 2
    said = labels("release", "batch_004", "--reason", "a new product")
    assert (said.code, said.out) == (0, "tiny: labels of batch_004 are released (120 rows)\n")
    assert labels("reject", "tiny").out == "tiny: labels of batch_005 are rejected (120 rows)\n"
    assert labels("reject").out == "tiny: no labels are held; nothing was changed\n"
    standing = {d["batch"]: (d["standing"], d["reason"]) for d in json.loads(labels("held", "--json").out)}
    assert standing == {"batch_005": ("rejected", "by hand"), "batch_004": ("released", "a new product")}
