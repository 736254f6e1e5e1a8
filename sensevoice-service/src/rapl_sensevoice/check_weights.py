"""`python -m rapl_sensevoice.check_weights`: reads every byte of SenseVoiceSmall's files, and prints a JSON object."""

import json
import sys
from typing import Any

from rapl_protocol.models import ModelState

from rapl_sensevoice.settings import Settings
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_weights import GraphWeights
from rapl_sensevoice.weights.on_disk import REPO, DownloadedWeights, Weights


def check_weights(settings: Settings) -> dict[str, Any]:
    """Returns the model, and its state, reason and remedy; the reason is None if every file has its size and hash."""
    folder, precision = settings.model_dir / REPO, settings.graph_precision
    weights: Weights = GraphWeights(folder, precision) if precision else DownloadedWeights(folder)
    found = weights.look()
    state, reason, remedy = found.state, found.reason, found.remedy
    if state is None:
        try:
            weights.verify()
        except ModelUnusable as error:
            state, reason, remedy = ModelState.FAILED, error.reason, error.remedy
    return {"model": REPO, "state": state, "reason": reason, "remedy": remedy}


if __name__ == "__main__":
    json.dump(check_weights(Settings()), sys.stdout)
