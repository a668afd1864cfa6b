"""Peak memory of one row of the image benchmark in a process of its own: a job as JSON in, its result as JSON out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from images_measure import Job, prepared
from speed_measure import answer, peak_of_row
from speed_rows import gxi_of


def peak(job: Job) -> dict[str, Any]:
    """Measure the peak memory of a row and of gxi."""
    calls, model, x = prepared(job)
    return asdict(peak_of_row(calls, gxi_of(model, x), job))


def main(text: str) -> None:
    job = Job(**json.loads(text))
    answer(job, lambda: peak(job))


if __name__ == "__main__":
    main(sys.argv[1])
