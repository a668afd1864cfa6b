"""A benchmark small enough for tests: one motif that every small net learns in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

TASK = """
kind: binary
length: 60
motifs:
  CTCF: {load: CTCF, instances: consensus}
classes:
  CTCF: CTCF
  background: otherwise
"""


def written(folder: Path, **changes: Any) -> Path:
    """Write the configuration, with keys changed, and its task beside it; None takes a key away."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.yaml").write_text(TASK)
    content: dict[str, Any] = {
        "name": "tiny",
        "tasks": {"one": {"group": "report", "task": "task.yaml", "n": 500, "test": 40, "seed": 3}},
        "architectures": {"small": {"architecture": "deepbind", "options": {"filters": 8, "kernel": 11, "hidden": 6}}},
        "seeds": [0, 1],
        "training": {"epochs": 5},
        "learned": 0.8,
        "sequences": 12,
        "common": {"center": "composition"},
        "methods": {
            "gxi": {"method": "gradient-x-input"},
            "plrp": {"method": "plrp", "rule": "gamma", "p": [0.0, 0.5]},
            "matrix": {"method": "plrp", "rule": "gamma", "p": 0.5, "mode": "matrix"},
            "random": {"method": "random", "center": "none"},
            "truth": {"method": "truth"},
        },
        "default": "plrp p=0.5",
        "peers": ["gxi", "plrp p=0"],
        "protocols": {"localisation": None, "sparsity": None, "faithfulness": {"draws": 2, "sequences": 5}},
        "matched_sparsity": {"to": "plrp p=0.5", "methods": ["gxi"]},
        "cost": {"sequences": 4, "repeats": 2},
        "pictures": {"sequences": 1},
    } | changes
    path = folder / "tiny.yaml"
    path.write_text(
        yaml.safe_dump({key: value for key, value in content.items() if value is not None}, sort_keys=False)
    )
    return path
