"""One measurement of the speed benchmark in a process of its own: a job as JSON in, its result as JSON out.

A process of its own measures memory without what other rows left behind, tells what the first trace in a process takes,
and keeps a failed capture of a CUDA graph from spoiling the rows after it. `speed.py` starts it.
"""

from __future__ import annotations

import json
import sys

from speed_measure import Job, answer, run_job
from speed_rows import row_named


def main(text: str) -> None:
    job = Job(**json.loads(text))
    answer(job, lambda: run_job(job, row_named(job.row) if job.row else None))


if __name__ == "__main__":
    main(sys.argv[1])
