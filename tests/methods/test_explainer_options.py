"""What the explainer offers beside the map: layers, further inputs, lengths, many targets, ensembles, checks."""

from __future__ import annotations

import torch
from nets import seeded
from torch import nn

import seqplrp as sp


def test_a_score_that_is_a_small_difference_of_large_numbers_passes_the_check() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26, 1)), seed=2)
    x = torch.eye(4)[torch.randint(0, 4, (200, 30), generator=torch.Generator().manual_seed(3))].transpose(1, 2)
    with torch.no_grad():
        hidden = model[:-1](x.double())
        scores = model(x.double())
        model[-1].bias -= scores[17]  # its score is 0 but for rounding
    e = sp.explain(model.float(), x, method="lrp", check=True)
    last = e.ledger[e.ledger.op == "linear"].set_index("sequence")
    parts = (hidden * model[-1].weight.detach().double()).abs().sum(1)
    assert abs(float(e.output[17])) < 1e-6 * float(parts[17])
    assert (last.unexplained.abs() / last["size"]).max() > 1e-5  # what the scores' size alone would say
    kept = (e.output.abs() / (e.output.abs() + 1e-6)).double()
    torch.testing.assert_close(torch.tensor(last.size_in.to_numpy()), parts * kept, rtol=1e-4, atol=1e-5)
    assert e.ledger[e.ledger.op == "conv1d"].size_in.isna().all()
