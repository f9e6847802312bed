"""How a trained model is loaded and asked without hubtrain, for its card."""

from __future__ import annotations

import json

from worker.task import python
from worker.tasks.tabular.params import TabularParams

SAID = """
`rows.csv` has the columns that the model was trained on; `config.json` names them and their kinds,
what is told, and the versions of the packages. `pip install {packages}` brings them."""


def loading(params: TabularParams, model: str) -> str:
    """Return Python that asks the model, which lies in a repo or a folder, about rows of a file."""
    asked = ["print(model.predict(rows))"]
    if not params.numbers:
        asked += ["print(model.classes_, model.predict_proba(rows))"]
    code = python(
        "import json, pathlib",
        "",
        "import pandas, skops.io",
        "from huggingface_hub import snapshot_download",
        "",
        f"model = {json.dumps(model)}",
        "folder = pathlib.Path(model)",
        "if not folder.is_dir():",
        "    folder = pathlib.Path(snapshot_download(model))",
        'told = json.loads((folder / "config.json").read_text())["hubtrain"]',
        '# Look at the types in told["trusted"] before you let skops load them.',
        'model = skops.io.load(folder / "model.skops", trusted=told["trusted"])',
        'as_text = [name for name, kind in told["columns"].items() if kind != "number"]',
        'rows = pandas.read_csv("rows.csv", dtype=dict.fromkeys(as_text, str))',
        *asked,
    )
    packages = "huggingface_hub pandas scikit-learn skops"
    packages += " xgboost-cpu" if params.model == "xgboost" else ""
    return f"{code}\n{SAID.format(packages=packages)}"
